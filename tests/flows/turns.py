"""A workflow for the tests of lanes: it notes its begin and its end outside the system, in any lane."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pydantic import BaseModel

from laneway import Context, workflow
from tests.flows.catalogue import note


class Turn(BaseModel):
    """`journal` gets `begin name n pid` and `end name n pid`; between them `seconds` pass and `gate` appears."""

    journal: str
    name: str
    n: int = 0
    seconds: float = 0.0
    gate: str | None = None


@workflow("turn", version="1", lane="interactive")
async def turn(ctx: Context, given: Turn) -> int:
    """Its number."""
    return await ctx.step("take", take, given)


async def take(given: Turn) -> int:
    """Note both ends."""
    note(given.journal, f"begin {given.name} {given.n} {os.getpid()}")
    await asyncio.sleep(given.seconds)
    while given.gate and not await asyncio.to_thread(Path(given.gate).exists):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    note(given.journal, f"end {given.name} {given.n} {os.getpid()}")
    return given.n
