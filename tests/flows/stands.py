"""Workflows that stand in every place a job can stand in."""

from __future__ import annotations

import asyncio
import os

from pydantic import BaseModel

from laneway import Context, Policy, TransientError, workflow


class Nap(BaseModel):
    """How long it sleeps, durably."""

    seconds: float


class Hold(BaseModel):
    """A file; the step goes on until it exists."""

    path: str


@workflow("sleeps", version="1")
async def sleeps(ctx: Context, nap: Nap) -> int:
    """A sleep and nothing else."""
    await ctx.sleep("nap", f"{nap.seconds}s")
    return 1


@workflow("limps", version="1")
async def limps(ctx: Context, nap: Nap) -> int:
    """Fails, and is tried again after a pause."""
    return await ctx.step("reach", reach, policy=Policy(tries=3, backoff=f"{nap.seconds}s"))


@workflow("holds", version="1")
async def holds(ctx: Context, hold: Hold) -> int:
    """A step that somebody has to end."""
    return await ctx.step("hold", held, hold.path)


@workflow("unknown-to-workers", version="1")
async def unknown(ctx: Context, nap: Nap) -> int:
    """For an API whose workers have other code."""
    return 1


async def reach() -> int:
    """Never there."""
    raise TransientError("away")


async def held(path: str) -> int:
    """A minute at most."""
    for _ in range(1200):
        if await asyncio.to_thread(os.path.exists, path):
            break
        await asyncio.sleep(0.05)
    return 1
