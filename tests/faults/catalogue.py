"""The workflow under fault: short steps in a row, each noting its begin and its end in a journal outside the system."""

from __future__ import annotations

import asyncio
import time

from pydantic import BaseModel

from laneway import Context, workflow
from tests.faults.journals import StepMark, append


class Trail(BaseModel):
    """`journal` gets a line at begin and end of each step, which takes `step_s`; `asks` calls of `model` come last."""

    journal: str
    name: str
    steps: int = 4
    step_s: float = 0.03
    asks: int = 0
    model: str = "small"


class Walked(BaseModel):
    steps: int
    labels: list[str]


class Answer(BaseModel):
    label: str


@workflow("trail", version="1")
async def trail(ctx: Context, given: Trail) -> Walked:
    """Steps in a row, then model calls in a row."""
    done = 0
    for n in range(given.steps):
        key = ctx.idempotency_key("walk", n)
        done += await ctx.step("walk", walk, given.journal, given.name, n, given.step_s, key, key=n)
    labels = []
    for n in range(given.asks):
        prompt = f"<item>{given.name}/{n}</item>"
        labels.append((await ctx.ask("classify", model=given.model, prompt=prompt, output=Answer, key=n)).label)
    return Walked(steps=done, labels=labels)


trail_now = workflow("trail-now", version="1", lane="interactive")(trail.fn)


@workflow("blocks", version="1")
async def blocks(ctx: Context, seconds: float) -> str:
    """One sync step, which runs in a thread and cannot be interrupted."""
    return await ctx.step("block", block, seconds)


def block(seconds: float) -> str:
    """Hold a thread."""
    time.sleep(seconds)
    return "done"


async def walk(journal: str, name: str, n: int, step_s: float, key: str) -> int:
    """One step: the sleep stands for its work."""
    append(journal, StepMark(at=time.time(), name=name, step=n, edge="begin", key=key))
    await asyncio.sleep(step_s)
    append(journal, StepMark(at=time.time(), name=name, step=n, edge="end", key=key))
    return 1
