"""Workflows that start jobs and wait for them, sleep, or stream; they note what they did outside the system."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pydantic import BaseModel

from laneway import Context, InputError, Policy, workflow
from tests.flows.catalogue import note


class Leaf(BaseModel):
    """`journal` gets a line when the step begins; the step then waits for the file `gate`. `n` % 10 == 7 fails."""

    journal: str
    n: int
    gate: str | None = None


class Branch(BaseModel):
    """So many leaves, numbered from `first`."""

    journal: str
    leaves: int
    first: int = 0
    gate: str | None = None


class Tree(BaseModel):
    """So many branches of so many leaves."""

    journal: str
    branches: int
    leaves: int
    gate: str | None = None


class Counted(BaseModel):
    """How many leaves ended how, and the sum of those that succeeded."""

    ends: dict[str, int]
    total: int


class Finding(BaseModel):
    """One element of a streamed list."""

    title: str


class Asked(BaseModel):
    item: str


@workflow("leaf", version="1", lane="bulk")
async def leaf(ctx: Context, given: Leaf) -> int:
    """A number, once its gate is open."""
    return await ctx.step("grow", grow, given)


@workflow("branch", version="1")
async def branch(ctx: Context, given: Branch) -> Counted:
    """Leaves, counted."""
    numbers = range(given.first, given.first + given.leaves)
    leaves = [Leaf(journal=given.journal, n=n, gate=given.gate) for n in numbers]
    outcomes = await ctx.spawn("leaves", leaf, leaves)
    for n, one in zip(numbers, outcomes, strict=True):
        if one.output not in (None, n):
            raise ValueError(f"the outcome of {n} is that of {one.output}")
    ends = [one.status for one in outcomes]
    return Counted(ends={end: ends.count(end) for end in set(ends)}, total=sum(one.output or 0 for one in outcomes))


@workflow("tree", version="1", lane="interactive")
async def tree(ctx: Context, given: Tree) -> Counted:
    """Branches of leaves, counted."""
    await ctx.step("plant", say, given.journal, "plant")
    branches = [
        Branch(journal=given.journal, leaves=given.leaves, first=n * given.leaves, gate=given.gate)
        for n in range(given.branches)
    ]
    total, ends = 0, dict[str, int]()
    for one in await ctx.spawn("branches", branch, branches):
        found = one.output or Counted(ends={f"branch {one.status}": 1}, total=0)
        total += found.total
        for end, count in found.ends.items():
            ends[end] = ends.get(end, 0) + count
    return Counted(ends=ends, total=total)


@workflow("groves", version="1")
async def groves(ctx: Context, given: Branch) -> list[str]:
    """Two spawns at once: the quick one's next step does not wait for the slow one."""

    async def grove(name: str, gate: str | None) -> str:
        await ctx.spawn(name, leaf, [Leaf(journal=given.journal, n=n, gate=gate) for n in range(given.leaves)])
        await ctx.step("after", say, given.journal, f"after-{name}", key=name)
        return name

    quick, slow, _ = await ctx.gather(grove("quick", None), grove("slow", given.gate), ctx.sleep("nap", "1s"))
    return [quick, slow]


@workflow("streams", version="1")
async def streams(ctx: Context, asked: Asked) -> list[str]:
    """A step on each finding of a streamed answer."""
    found: list[str] = []
    prompt = f"<item>{asked.item}</item>"
    ctx.emit({"item": asked.item})
    quick = Policy(backoff="50ms")
    async for one in ctx.stream("find", model="small", prompt=prompt, output=list[Finding], policy=quick):
        found.append(await ctx.step("shout", str.upper, one.title, key=one.title))
    return found


@workflow("talks", version="1")
async def talks(ctx: Context, given: Branch) -> int:
    """Tells its progress again and again, for a while, and then ends, or naps."""
    for n in range(given.leaves):
        ctx.progress(n, f"leaf {n}")
        await asyncio.sleep(0.05)
    ctx.progress(99, "last words")
    if given.gate:
        await ctx.sleep("nap", "10m")
    return given.leaves


async def say(journal: str, word: str) -> None:
    """Note the word, and who says it."""
    note(journal, f"{word} {os.getpid()}")


async def grow(given: Leaf) -> int:
    """Note the begin; wait for the gate."""
    note(given.journal, f"leaf {given.n} {os.getpid()}")
    while given.gate and not await asyncio.to_thread(Path(given.gate).exists):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    if given.n % 10 == 7:
        raise InputError(f"{given.n} withers")
    return given.n
