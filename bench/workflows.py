"""What the benchmarks run: work that does nothing, so that the service itself is measured."""

from __future__ import annotations

from pydantic import BaseModel

from laneway import Context, workflow


class Number(BaseModel):
    n: int


@workflow("bench-noop", version="1")
async def bench_noop(ctx: Context, number: Number) -> Number:
    """Gives back what it got."""
    return number
