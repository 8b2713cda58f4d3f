"""Workflows whose calls are judged by a provider that nobody here wrote."""

from __future__ import annotations

from pydantic import BaseModel

from laneway import Context, Policy, workflow


class Item(BaseModel):
    """Something to say a word on, by an alias."""

    name: str
    model: str = "openai"


_PATIENT = Policy(tries=4, backoff="200ms")


@workflow("judged", version="1")
async def judged(ctx: Context, item: Item) -> str:
    """One call."""
    return await ctx.ask("say", model=item.model, prompt=f"A word on {item.name}", policy=_PATIENT)


@workflow("judged-stream", version="1")
async def judged_stream(ctx: Context, item: Item) -> str:
    """One streamed call."""
    pieces = ctx.stream("say", model=item.model, prompt=f"Some words on {item.name}", policy=_PATIENT)
    return "".join([piece async for piece in pieces])
