"""What every journal must do, wherever it keeps its records: run against the one in memory and the one in SQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import pytest

from app.domain import canonical, ids
from app.domain.call import Call, CallOutcome
from app.domain.errors import ErrorClass, Failure
from app.domain.step import StepRecord, StepStatus, StepWrite, Via
from app.engine import Context, workflow
from app.engine.journal import Journal, OwnershipLost
from app.engine.perform import Succeeded, perform
from tests.engine.support import make_run

AT = datetime(2030, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
ODD_OUTPUTS = {
    "nothing": None,
    "nul": "a\x00b",
    "lone surrogate": "a\ud800b",
    "other planes": "\U0001f600\u2028",
    "big": "x" * 1_000_000,
    "big number": 2**80,
    "deep": [[[[[[[[[[1]]]]]]]]]],
    "keys": {"": 1, "\x00": 2, "\u00e9": 3},
}


class JournalJob(Protocol):
    """One job in the store under test, running and owned."""

    job_id: UUID

    def journal(self) -> Journal:
        """The journal of the present owner."""
        ...

    async def take_over(self) -> Journal:
        """Make another worker the owner, as recovery and a new claim do; its journal."""
        ...

    async def paid(self) -> set[UUID]:
        """The ids of all calls that the ledger holds for this job, late ones included."""
        ...


def record(name: str = "step", key: str = "", **changes: Any) -> StepRecord:
    """A step that succeeded; `changes` are fields of it."""
    given: dict[str, Any] = {
        "name": name,
        "key": key,
        "kind": "step",
        "status": StepStatus.SUCCEEDED,
        "tries": 1,
        "args_digest": canonical.digest(name, key),
        "output": canonical.dump({"of": [name, key]}),
        "error": None,
        "started_at": AT,
        "ended_at": AT + timedelta(milliseconds=1500),
        "attempt": 1,
        "span_id": "00f067aa0ba902b7",
    }
    return StepRecord(**{**given, **changes})


def failure(name: str, error_class: ErrorClass = ErrorClass.TRANSIENT) -> Failure:
    """Why a step failed."""
    return Failure(error_class, "dependency_failed", "the other side said \u201cno\u201d", name)


def call() -> Call:
    """A call that was made and paid for."""
    return Call(
        id=ids.uuid7(),
        provider="main",
        model="mini-1",
        pool="mini",
        outcome=CallOutcome.SUCCEEDED,
        error_code=None,
        http_status=200,
        input_tokens=10,
        output_tokens=5,
        cached_tokens=0,
        cost_nanos=1234,
        price_known=True,
        limiter_wait_s=0.5,
        started_at=AT,
        ended_at=AT,
        span_id="00f067aa0ba902b8",
        request=b'{"q":1}',
        answer=b'{"a":2}',
    )


async def kept(journal: Journal) -> dict[tuple[str, str], StepRecord]:
    """All records by identity; the order in which they are loaded means nothing."""
    loaded = await journal.load()
    by_identity = {one.identity: one for one in loaded}
    assert len(by_identity) == len(loaded)
    return by_identity


class JournalSuite:
    """Subclasses give the fixture `job`."""

    @pytest.fixture
    async def job(self) -> JournalJob:
        """A fresh job."""
        raise NotImplementedError

    async def test_a_new_job_has_no_records(self, job: JournalJob) -> None:
        assert await job.journal().load() == []

    @pytest.mark.parametrize(
        "written",
        [
            record("done"),
            record("refused", status=StepStatus.FAILED, output=None, error=failure("refused", ErrorClass.INPUT)),
            record(
                "again", status=StepStatus.RETRYING, tries=3, output=b'"2030-05-06T07:09:00Z"', error=failure("again")
            ),
            record("asked", key="item-7", kind="ask", attempt=4),
            record("fell back", key="other-way", kind="ask", via=Via.FALLBACK_MODEL),
        ],
        ids=lambda written: written.status.value + written.key,
    )
    async def test_a_record_is_loaded_as_it_was_written(self, job: JournalJob, written: StepRecord) -> None:
        await job.journal().write(StepWrite(written))
        assert await kept(job.journal()) == {written.identity: written}

    async def test_a_record_outlives_its_owner(self, job: JournalJob) -> None:
        await job.journal().write(StepWrite(record()))
        assert await kept(await job.take_over()) == {("step", ""): record()}

    async def test_name_and_key_identify(self, job: JournalJob) -> None:
        written = [record("a"), record("a", "1"), record("a", "2"), record("b", "1"), record("a1"), record("A")]
        for one in written:
            await job.journal().write(StepWrite(one))
        assert await kept(job.journal()) == {one.identity: one for one in written}

    async def test_a_later_try_replaces_the_record(self, job: JournalJob) -> None:
        journal = job.journal()
        for tries in (1, 2):
            retrying = record(status=StepStatus.RETRYING, tries=tries, output=None, error=failure("step"))
            await journal.write(StepWrite(retrying))
        assert (await kept(journal))["step", ""].tries == 2
        done = record(tries=3, attempt=2)
        await journal.write(StepWrite(done))
        assert await kept(journal) == {done.identity: done}

    async def test_a_repeated_write_changes_nothing(self, job: JournalJob) -> None:
        write = StepWrite(record(), (call(), call()))
        await job.journal().write(write)
        await job.journal().write(write)
        assert await kept(job.journal()) == {("step", ""): record()}
        assert await job.paid() == {one.id for one in write.calls}

    async def test_who_lost_the_job_writes_no_record(self, job: JournalJob) -> None:
        before = job.journal()
        await before.write(StepWrite(record("mine")))
        after = await job.take_over()
        with pytest.raises(OwnershipLost):
            await before.write(StepWrite(record("late")))
        with pytest.raises(OwnershipLost):
            await before.write(StepWrite(record("mine", output=b'"other"')))
        await after.write(StepWrite(record("theirs")))
        assert await kept(after) == {one.identity: one for one in (record("mine"), record("theirs"))}

    async def test_a_refused_write_keeps_its_calls(self, job: JournalJob) -> None:
        before, made = job.journal(), call()
        await job.take_over()
        with pytest.raises(OwnershipLost):
            await before.write(StepWrite(record(), (made,)))
        assert await job.paid() == {made.id}

    async def test_writes_at_once_are_all_kept(self, job: JournalJob) -> None:
        journal = job.journal()
        written = [record("many", str(number), output=canonical.dump(number)) for number in range(60)]
        calls = [call() for _ in written]
        await asyncio.gather(
            *(journal.write(StepWrite(one, (made,))) for one, made in zip(written, calls, strict=True))
        )
        assert await kept(journal) == {one.identity: one for one in written}
        assert await job.paid() == {made.id for made in calls}

    async def test_a_refused_write_leaves_its_neighbours_alone(self, job: JournalJob) -> None:
        before = job.journal()
        after = await job.take_over()
        late, own = await asyncio.gather(
            before.write(StepWrite(record("late"))), after.write(StepWrite(record("own"))), return_exceptions=True
        )
        assert isinstance(late, OwnershipLost)
        assert own is None
        assert await kept(after) == {("own", ""): record("own")}

    @pytest.mark.parametrize("value", ODD_OUTPUTS.values(), ids=ODD_OUTPUTS.keys())
    async def test_odd_outputs_come_back_byte_for_byte(self, job: JournalJob, value: Any) -> None:
        written = record(output=canonical.dump(value))
        await job.journal().write(StepWrite(written))
        loaded = (await kept(job.journal()))["step", ""]
        assert loaded.output == written.output

    async def test_a_finished_step_never_runs_again(self, job: JournalJob) -> None:
        runs: list[str] = []

        async def note(name: str) -> str:
            runs.append(name)
            if name == "third" and runs.count("third") == 1:
                raise Crash
            return name.upper()

        @workflow("finished-once", version="1")
        async def finished_once(ctx: Context, words: list[str]) -> list[str]:
            return [await ctx.step("note", note, word, key=word) for word in words]

        words = ["first", "second", "third", "fourth"]
        with pytest.raises(Crash):
            await perform(finished_once, make_run(words, journal=job.journal(), job_id=job.job_id))
        heir = await job.take_over()
        outcome = await perform(finished_once, make_run(words, journal=heir, job_id=job.job_id, resumed=True))
        assert isinstance(outcome, Succeeded)
        assert canonical.load(outcome.output) == ["FIRST", "SECOND", "THIRD", "FOURTH"]
        assert runs == ["first", "second", "third", "third", "fourth"]


class Crash(BaseException):
    """The worker dies here."""
