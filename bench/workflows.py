"""What the benchmarks run: work that does nothing or only waits, so that the service itself is measured."""

from __future__ import annotations

from pydantic import BaseModel

from laneway import Context, workflow


class Number(BaseModel):
    n: int


@workflow("bench-noop", version="1")
async def bench_noop(ctx: Context, number: Number) -> Number:
    """Gives back what it got."""
    return number


@workflow("bench-call", version="1", lane="bulk")
async def bench_call(ctx: Context, number: Number) -> str:
    """Asks the model once."""
    return await ctx.ask("call", model="small", prompt=f"question {number.n}")


@workflow("bench-checks", version="1")
async def bench_checks(ctx: Context, number: Number) -> list[str]:
    """Asks three questions at once."""
    parts = [f"question {number.n}, part {part}" for part in range(3)]
    return list(await ctx.gather(*(ctx.ask("check", model="small", prompt=part, key=part) for part in parts)))
