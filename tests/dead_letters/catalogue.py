"""Workflows that fail until a test mends them, and note each step that ran in a journal outside the system."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from laneway import Context, InputError, Policy, ProcessingError, TransientError, workflow
from tests.flows.catalogue import note

ONCE = Policy(tries=1)


class Order(BaseModel):
    """Work under a name; it fails in this way until the file `mended` exists."""

    name: str
    mended: str
    journal: str
    how: str = "processing"


class Done(BaseModel):
    name: str


@workflow("breaks", version="1", default=True)
async def breaks(ctx: Context, order: Order) -> Done:
    """A step that works, and one that fails."""
    await ctx.step("first", first, order)
    await ctx.step("second", second, order, policy=ONCE)
    return Done(name=order.name)


@workflow("breaks", version="2")
async def breaks_2(ctx: Context, order: Order) -> Done:
    """The mended version."""
    await ctx.step("first", first, order)
    return Done(name=f"{order.name} 2")


@workflow("breaks-too", version="1", lane="bulk")
async def breaks_too(ctx: Context, order: Order) -> Done:
    """Fails outside of any step."""
    check(order)
    return Done(name=order.name)


def check(order: Order) -> None:
    """A bug, until it is mended."""
    if not Path(order.mended).exists():
        raise KeyError(order.name)


def first(order: Order) -> int:
    """Works."""
    note(order.journal, f"{order.name} first")
    return 1


def second(order: Order) -> int:
    """Fails as it was told."""
    note(order.journal, f"{order.name} second")
    if not Path(order.mended).exists():
        raise {"processing": ProcessingError, "transient": TransientError, "input": InputError}[order.how](
            "it is broken", code=f"{order.how}_broken"
        )
    return 2
