"""Steps: recorded once, read back, and the same in every run."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from app.domain import canonical
from app.domain.errors import ErrorClass
from app.domain.job import Reason
from app.engine.journal import MemoryJournal, OwnershipLost
from app.engine.perform import Parked, Succeeded, perform
from laneway import Context, workflow
from laneway.testing import JobFailed, run
from tests.engine.support import Flaky, flow, make_run, result


class Box(BaseModel):
    """A result with types that JSON does not have."""

    at: datetime
    tags: set[str]


async def test_sync_functions_run_in_threads_and_async_ones_in_the_loop() -> None:
    async def here() -> int:
        return threading.get_ident()

    assert await result(here) == threading.get_ident()
    assert await result(threading.get_ident) != threading.get_ident()


async def test_sync_steps_do_not_hold_each_other_up() -> None:
    @workflow("sync-at-once", version="1")
    async def sync_at_once(ctx: Context, n: int) -> list[int]:
        return await ctx.map("wait", wait, range(n), key=str)

    def wait(number: int) -> int:
        time.sleep(0.1)
        return number

    begun = time.monotonic()
    assert await run(sync_at_once, 20) == list(range(20))
    assert time.monotonic() - begun < 1.0


async def test_a_result_is_read_back_from_its_record_in_the_first_run_too() -> None:
    def make() -> Box:
        return Box(at=datetime(2030, 1, 1, tzinfo=UTC), tags={"b", "a"})

    @workflow("read-back", version="1")
    async def read_back(ctx: Context, _: str) -> list[bool]:
        box = await ctx.step("make", make)
        loose = await ctx.step("loose", lambda: (1, {2: "two"}))
        return [box == make(), isinstance(loose, list), canonical.dump(loose) == b'[1,{"2":"two"}]']

    assert await run(read_back, "x") == [True, True, True]


@pytest.mark.parametrize("fn", [functools.partial(max, 1, 2), "abc".upper, len, Flaky(), lambda: None])
async def test_any_callable_is_a_step(fn: Any) -> None:
    arguments = (["a"],) if fn is len else ()
    assert await result(fn, *arguments) in (2, "ABC", 1, "done", None)


async def test_a_finished_step_is_not_run_again() -> None:
    journal, flaky = MemoryJournal(), Flaky()
    for resumed in (False, True, True):
        outcome = await perform(flow(flaky), make_run("x", journal=journal, resumed=resumed))
        assert isinstance(outcome, Succeeded)
    assert flaky.calls == 1


async def test_the_same_step_twice_is_an_error_at_once() -> None:
    @workflow("twice", version="1")
    async def twice(ctx: Context, _: str) -> str:
        await ctx.step("same", str, 1)
        return await ctx.step("same", str, 2)

    with pytest.raises(JobFailed, match="step 'same' is there twice: give each its own name, or a key="):
        await run(twice, "x")


async def test_a_journal_in_trouble_parks_and_runs_the_step_again() -> None:
    class Away(MemoryJournal):
        async def write(self, write: Any) -> None:
            raise ConnectionRefusedError("database")

    flaky = Flaky()
    outcome = await perform(flow(flaky), make_run("x", journal=Away()))
    assert isinstance(outcome, Parked)
    assert (outcome.reason, outcome.charged) == (Reason.SYSTEM, False)
    assert outcome.failure is not None
    assert outcome.failure.error_class is ErrorClass.SYSTEM


async def test_records_are_loaded_once_and_in_any_order() -> None:
    class Counted(MemoryJournal):
        loads = 0

        async def load(self) -> list[Any]:
            self.loads += 1
            await asyncio.sleep(0)
            return list(reversed(await super().load()))

    @workflow("many", version="1")
    async def many(ctx: Context, n: int) -> list[str]:
        return await ctx.map("each", str, range(n), key=str)

    journal = Counted()
    first = await perform(many, make_run(5, journal=journal))
    assert journal.loads == 0
    second = await perform(many, make_run(5, journal=journal, resumed=True))
    assert journal.loads == 1
    assert isinstance(first, Succeeded)
    assert isinstance(second, Succeeded)
    assert first.output == second.output == canonical.dump(["0", "1", "2", "3", "4"])


async def test_context_tells_job_attempt_and_takes_progress() -> None:
    told: list[tuple[int, str | None]] = []

    @workflow("about", version="1")
    async def about(ctx: Context, _: str) -> list[str]:
        ctx.progress(40, "half way")
        ctx.progress(100)
        return [str(ctx.job_id), str(ctx.attempt)]

    run_ = make_run("x", attempt=3, on_progress=lambda percent, step: told.append((percent, step)))
    outcome = await perform(about, run_)
    assert isinstance(outcome, Succeeded)
    assert canonical.load(outcome.output) == [str(run_.job_id), "3"]
    assert told == [(40, "half way"), (100, None)]


async def test_a_step_inside_a_step_is_recorded_too() -> None:
    @workflow("nested", version="1")
    async def nested(ctx: Context, word: str) -> str:
        async def outer() -> str:
            return (await ctx.step("inner", str.upper, word)) + "!"

        return await ctx.step("outer", outer)

    journal = MemoryJournal()
    assert await run(nested, "hi", journal=journal) == "HI!"
    assert [record.name for record in journal.records] == ["inner", "outer"]


async def test_who_lost_the_job_drops_it() -> None:
    journal = MemoryJournal()
    first = make_run("x", journal=journal)
    heir = journal.take_over()
    with pytest.raises(OwnershipLost):
        await perform(flow(Flaky()), first)
    assert isinstance(await perform(flow(Flaky()), replace(first, journal=heir, resumed=True)), Succeeded)
