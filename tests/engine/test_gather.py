"""Branches at once, waits, and what happens when one of them must stop."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain import canonical
from app.domain.errors import InputError
from app.domain.job import Reason
from app.engine.journal import MemoryJournal, OwnershipLost
from app.engine.perform import Failed, Parked, Succeeded, perform
from app.engine.virtual import VirtualClock
from laneway import Context, ProcessingError, TransientError, workflow
from laneway.testing import JobFailed, run
from tests.engine.support import START, Flaky, make_run


async def test_results_come_in_order_and_at_once() -> None:
    running = 0
    most = 0

    async def wait(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01 * (5 - number))
        running -= 1
        return number

    @workflow("ordered", version="1")
    async def ordered(ctx: Context, limit: int | None) -> list[int]:
        return await ctx.map("wait", wait, range(5), key=str, limit=limit)

    assert await run(ordered, None) == [0, 1, 2, 3, 4]
    assert most == 5
    most = 0
    assert await run(ordered, 2) == [0, 1, 2, 3, 4]
    assert most == 2


async def test_all_are_recorded_before_the_first_error_by_order_is_raised() -> None:
    async def slow(error: str) -> None:
        await asyncio.sleep(0.02)
        raise InputError(error)

    async def quick(error: str) -> None:
        raise InputError(error)

    @workflow("errors", version="1")
    async def errors(ctx: Context, _: str) -> None:
        await ctx.gather(ctx.step("a", slow, "first"), ctx.step("b", quick, "second"), ctx.step("c", str, 1))

    journal = MemoryJournal()
    outcome = await perform(errors, make_run("x", journal=journal))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.detail, outcome.failure.step) == ("first", "a")
    assert sorted(record.name for record in journal.records) == ["a", "b", "c"]


async def test_it_suspends_only_when_no_branch_can_move() -> None:
    finished: list[str] = []

    async def branch(ctx: Context, name: str, flaky: Flaky) -> str:
        await ctx.step(f"{name}-first", flaky)
        finished.append(name)
        return await ctx.step(f"{name}-second", str.upper, name)

    late, early = Flaky(TransientError(retry_after_s=60)), Flaky(TransientError(retry_after_s=20))

    @workflow("branches", version="1")
    async def branches(ctx: Context, _: str) -> list[str]:
        return list(await ctx.gather(branch(ctx, "a", late), branch(ctx, "b", early), branch(ctx, "c", Flaky())))

    journal, clock = MemoryJournal(), VirtualClock(START)
    outcome = await perform(branches, make_run("x", journal=journal, clock=clock))
    assert isinstance(outcome, Parked)
    assert (finished, outcome.charged, outcome.reason) == (["c"], True, Reason.RETRY)
    assert timedelta(seconds=20) <= outcome.until - START <= timedelta(seconds=21)
    clock.move_to(outcome.until)
    outcome = await perform(branches, make_run("x", journal=journal, clock=clock, resumed=True))
    assert isinstance(outcome, Parked)
    assert (late.calls, early.calls, outcome.charged) == (1, 2, False)
    clock.move_to(outcome.until)
    outcome = await perform(branches, make_run("x", journal=journal, clock=clock, resumed=True))
    assert isinstance(outcome, Succeeded)
    assert canonical.load(outcome.output) == ["A", "B", "C"]


async def test_an_error_waits_for_the_branches_that_sleep() -> None:
    @workflow("error-and-sleep", version="1")
    async def error_and_sleep(ctx: Context, _: str) -> None:
        await ctx.gather(ctx.step("bad", Flaky(ProcessingError("no"))), ctx.sleep("nap", "1h"))

    journal, clock = MemoryJournal(), VirtualClock(START)
    first = await perform(error_and_sleep, make_run("x", journal=journal, clock=clock))
    assert isinstance(first, Parked)
    clock.move_to(first.until)
    second = await perform(error_and_sleep, make_run("x", journal=journal, clock=clock, resumed=True))
    assert isinstance(second, Failed)
    assert second.failure.detail == "no"


async def test_gathers_nest_and_may_be_empty() -> None:
    @workflow("nest", version="1")
    async def nest(ctx: Context, _: str) -> list[Any]:
        inner = ctx.gather(ctx.step("a", str, 1), ctx.step("b", str, 2))
        pair, single = await ctx.gather(inner, ctx.step("c", str, 3))
        return [list(pair), single, list(await ctx.gather()), await ctx.map("m", str, [], key=str)]

    assert await run(nest, "x") == [["1", "2"], "3", [], []]


async def test_what_is_not_awaitable_is_a_clear_error() -> None:
    @workflow("no-awaitable", version="1")
    async def no_awaitable(ctx: Context, _: str) -> None:
        await ctx.gather(ctx.step("a", str, 1), "b")  # type: ignore[call-overload]

    with pytest.raises(JobFailed, match=r"ctx\.gather takes awaitables, .* not str"):
        await run(no_awaitable, "x")


async def test_an_author_may_catch_a_branch_error() -> None:
    @workflow("catch", version="1")
    async def catch(ctx: Context, _: str) -> str:
        try:
            await ctx.gather(ctx.step("a", Flaky(InputError("a"))), ctx.step("b", str, 2))
        except InputError as error:
            return await ctx.step("plan-b", str, error.detail)
        return "none"

    assert await run(catch, "x") == "a"


async def test_a_lost_job_stops_every_branch() -> None:
    stopped: list[str] = []
    journal = MemoryJournal()

    async def long() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            stopped.append("long")
            raise

    async def lose() -> None:
        journal.take_over()

    @workflow("lose-in-branch", version="1")
    async def lose_in_branch(ctx: Context, _: str) -> None:
        await ctx.gather(ctx.step("long", long), ctx.step("lose", lose))

    with pytest.raises(OwnershipLost):
        await perform(lose_in_branch, make_run("x", journal=journal))
    assert stopped == ["long"]


async def test_a_cancel_reaches_every_branch() -> None:
    started, stopped = asyncio.Event(), []

    async def long(number: int) -> None:
        started.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            stopped.append(number)
            raise

    @workflow("cancel-branches", version="1")
    async def cancel_branches(ctx: Context, _: str) -> None:
        await ctx.map("long", long, [1, 2, 3], key=str)

    task = asyncio.create_task(perform(cancel_branches, make_run("x")))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(stopped) == [1, 2, 3]


@workflow("nap", version="1")
async def nap(ctx: Context, duration: str) -> str:
    """Sleeps between two steps."""
    first = await ctx.step("first", str, 1)
    await ctx.sleep("nap", duration)
    return first + await ctx.step("second", str, 2)


async def test_a_sleep_frees_the_slot_and_is_not_prolonged_by_a_restart() -> None:
    journal, clock = MemoryJournal(), VirtualClock(START)
    until = START + timedelta(hours=2)
    for passed in (0, 10, 60):
        clock.move_to(START + timedelta(minutes=passed))
        outcome = await perform(nap, make_run("2h", journal=journal, clock=clock, resumed=bool(passed)))
        assert isinstance(outcome, Parked)
        assert (outcome.reason, outcome.until, outcome.charged) == (Reason.SLEEP, until, False)
    clock.move_to(until)
    outcome = await perform(nap, make_run("2h", journal=journal, clock=clock, resumed=True))
    assert isinstance(outcome, Succeeded)
    assert [record.kind for record in journal.records] == ["step", "wait", "step"]


async def test_a_short_sleep_stays_in_the_slot() -> None:
    clock = VirtualClock(START)
    assert isinstance(await perform(nap, make_run("1500ms", clock=clock)), Succeeded)
    assert clock.monotonic() == 1.5


async def test_wait_until_takes_an_aware_time() -> None:
    @workflow("until", version="1")
    async def until(ctx: Context, when: datetime) -> str:
        await ctx.wait_until("then", when)
        return "done"

    when = datetime(2030, 1, 2, tzinfo=UTC)
    outcome = await perform(until, make_run(when.isoformat()))
    assert isinstance(outcome, Parked)
    assert outcome.until == when
    assert await run(until, when) == "done"
    with pytest.raises(JobFailed, match="aware datetime"):
        await run(until, datetime(2030, 1, 2))  # noqa: DTZ001


@pytest.mark.parametrize("duration", ["soon", "", "-1s", "1w"])
async def test_a_duration_that_cannot_be_read_is_a_clear_error(duration: str) -> None:
    with pytest.raises(JobFailed, match="is not a duration"):
        await run(nap, duration)
