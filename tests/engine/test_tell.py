"""What a run tells on the way: progress and deltas, from the loop and from threads, nothing that was told before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel, Field

from app.engine.journal import MemoryJournal
from app.engine.perform import Parked, Succeeded, perform
from app.engine.virtual import VirtualClock
from laneway import Context, workflow
from laneway.testing import JobFailed, run
from tests.engine.support import START, make_run


class Piece(BaseModel):
    """A delta with an alias."""

    text: str = Field(alias="theText")


@workflow("tells", version="1")
async def tells(ctx: Context, _: str) -> str:
    """Says how far it is, around a step and a nap."""
    ctx.progress(10, "begin")
    ctx.emit({"at": "begin"})
    await ctx.step("one", str, 1)
    ctx.emit("middle")
    await ctx.sleep("nap", "1h")
    ctx.emit(Piece(theText="late"))
    ctx.progress(90)
    await ctx.step("two", str, 2)
    ctx.emit(None)
    return "done"


async def test_a_resumed_run_does_not_repeat_what_was_told_before_its_wait() -> None:
    told: list[Any] = []
    journal, clock = MemoryJournal(), VirtualClock(START)

    def the_run(resumed: bool) -> Any:
        return make_run(
            "x", journal=journal, clock=clock, resumed=resumed, on_progress=lambda *what: told.append(what),
            on_delta=lambda kind, data: told.append((kind, data)),
        )  # fmt: skip

    first = await perform(tells, the_run(False))
    assert isinstance(first, Parked)
    assert told == [(10, "begin"), ("delta", {"at": "begin"}), ("delta", "middle")]
    told.clear()
    clock.move_to(first.until)
    assert isinstance(await perform(tells, the_run(True)), Succeeded)
    assert told == [("delta", {"theText": "late"}), (90, None), ("delta", None)]


async def test_a_test_sees_the_deltas() -> None:
    deltas: list[tuple[str, Any]] = []
    assert await run(tells, "x", deltas=deltas) == "done"
    assert deltas == [("delta", {"at": "begin"}), ("delta", "middle"), ("delta", {"theText": "late"}), ("delta", None)]


async def test_a_step_in_a_thread_may_tell() -> None:
    told: list[Any] = []

    @workflow("from-thread", version="1")
    async def from_thread(ctx: Context, _: str) -> str:
        def work() -> str:
            ctx.progress(50)
            ctx.emit("half")
            return "done"

        return await ctx.step("work", work)

    def note(*what: Any) -> None:
        asyncio.get_running_loop()
        told.append(what)

    await perform(from_thread, make_run("x", on_progress=note, on_delta=note))
    assert told == [(50, None), ("delta", "half")]


@pytest.mark.parametrize(
    ("delta", "message"), [(object(), "can be written as JSON"), ("x" * 70_000, "up to 65536 bytes")]
)
async def test_what_cannot_be_sent_is_a_clear_error(delta: Any, message: str) -> None:
    @workflow("odd", version="1")
    async def odd(ctx: Context, _: str) -> None:
        ctx.emit(delta)

    with pytest.raises(JobFailed, match=message):
        await run(odd, "x")


@pytest.mark.parametrize("percent", [-1, 101])
async def test_a_percentage_is_one(percent: int) -> None:
    @workflow("percent", version="1")
    async def percents(ctx: Context, _: str) -> None:
        ctx.progress(percent)

    with pytest.raises(JobFailed, match="percentage from 0 to 100"):
        await run(percents, "x")
