"""Workflows that say much while they run: two answers at once, more than anybody reads, progress, nothing."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from laneway import Context, workflow


class Speech(BaseModel):
    """`pieces` of so many characters, one each so many seconds."""

    pieces: int
    characters: int = 1
    gap_s: float = 0.05


class Topics(BaseModel):
    items: list[str]


@workflow("emits", version="1")
async def emits(ctx: Context, speech: Speech) -> int:
    """Numbered pieces."""
    for n in range(speech.pieces):
        ctx.emit({"n": n, "pad": "x" * speech.characters})
        await asyncio.sleep(speech.gap_s)
    return speech.pieces


@workflow("advances", version="1")
async def advances(ctx: Context, speech: Speech) -> int:
    """A percentage for each piece."""
    for n in range(speech.pieces):
        ctx.progress(100 * n // speech.pieces, f"piece {n}")
        await asyncio.sleep(speech.gap_s)
    return speech.pieces


@workflow("says-all", version="1")
async def says_all(ctx: Context, topics: Topics) -> list[str]:
    """A text on each topic, all at once, each written down as it came."""

    async def say(item: str) -> str:
        pieces = [piece async for piece in ctx.stream("say", model="small", prompt=f"<item>{item}</item>", key=item)]
        return "".join(pieces)

    return list(await ctx.gather(*(say(item) for item in topics.items)))


@workflow("says-twice", version="1")
async def says_twice(ctx: Context, topics: Topics) -> str:
    """A streamed text, recorded; then another."""
    said = ""
    for item in topics.items:
        async for piece in ctx.stream("say", model="small", prompt=f"<item>{item}</item>", key=item):
            said += piece
    return said
