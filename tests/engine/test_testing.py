"""What authors test with, and the warnings for what has no effect yet."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import BaseModel
from structlog.testing import capture_logs

from app.engine.notice import note_without_effect
from app.engine.virtual import VirtualClock
from laneway import Cache, Context, Policy, SystemFault, TransientError, workflow
from laneway.testing import JobFailed, MemoryJournal, run
from tests.engine.support import START


class Note(BaseModel):
    """An input."""

    text: str


@workflow("noted", version="1")
async def noted(ctx: Context, note: Note) -> Note:
    """Asks, sleeps a day, asks again."""
    first = await ctx.ask("first", model="small", prompt=note.text, policy=Policy(cache=Cache(ttl="1h")))
    await ctx.sleep("day", "24h")
    return Note(text=first + await ctx.ask("second", model="small", prompt=first))


async def test_a_workflow_runs_to_its_end_in_no_time() -> None:
    replies = {"first": [TransientError(retry_after_s=600), "a"], "second": "b"}
    assert await run(noted, Note(text="x"), replies=replies) == Note(text="ab")
    assert await run(noted, {"text": "x"}, replies={"first": "c", "second": "d"}) == Note(text="cd")


async def test_time_starts_where_the_test_says() -> None:
    at = datetime(2031, 2, 3, tzinfo=UTC)
    journal = MemoryJournal()
    await run(noted, Note(text="x"), replies={"first": "a", "second": "b"}, journal=journal, at=at)
    assert journal.records[0].started_at == at
    assert (journal.records[-1].started_at - at).total_seconds() == 86400


async def test_a_failure_is_an_exception_with_all_that_clients_see() -> None:
    with pytest.raises(JobFailed, match="transient dependency_failed at second: down") as caught:
        await run(noted, Note(text="x"), replies={"first": "a", "second": TransientError("down")})
    assert caught.value.failure.step == "second"


async def test_a_journal_of_a_failed_run_goes_on_where_it_stopped() -> None:
    journal = MemoryJournal()
    with pytest.raises(JobFailed):
        await run(noted, Note(text="x"), replies={"first": "a", "second": [ValueError("bug")]}, journal=journal)
    assert [record.name for record in journal.records] == ["first", "day", "second"]


async def test_a_job_that_never_ends_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"parked 1000 times .* system"):
        await run(noted, Note(text="x"), replies={"first": SystemFault("no disk")})


async def test_what_has_no_effect_yet_is_named_once() -> None:
    with capture_logs() as lines:
        note_without_effect(("a-feature", "another"))
        note_without_effect(("a-feature",))
    assert [line["what"] for line in lines] == ["a-feature", "another"]
    assert {line["log_level"] for line in lines} == {"warning"}


async def test_sleeps_at_once_overlap() -> None:
    clock = VirtualClock(START)
    await clock.sleep(1)
    assert clock.monotonic() == 1
    clock.move_to(START)
    assert clock.monotonic() == 1
