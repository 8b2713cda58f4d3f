"""Workflows whose calls are judged by a provider that nobody here wrote."""

from __future__ import annotations

from pydantic import BaseModel

from laneway import Context, workflow


class Item(BaseModel):
    """Something to say a word on, by an alias."""

    name: str
    model: str = "openai"


@workflow("judged", version="1")
async def judged(ctx: Context, item: Item) -> str:
    """One call."""
    return await ctx.ask("say", model=item.model, prompt=f"A word on {item.name}")


@workflow("judged-stream", version="1")
async def judged_stream(ctx: Context, item: Item) -> str:
    """One streamed call."""
    pieces = ctx.stream("say", model=item.model, prompt=f"Some words on {item.name}")
    return "".join([piece async for piece in pieces])
