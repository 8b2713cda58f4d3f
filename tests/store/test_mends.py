"""Jobs to be mended, in a real PostgreSQL: one owner at a time, a fence, an output replaced whole."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
import pytest

from app.domain.job import NO_USAGE, Claimed, Job, Status, Usage
from app.domain.step import StepWrite
from app.jobs.view import job_view
from app.store.leaves import Leave
from app.store.mends import Due, Mend, Mends
from app.store.reads import Reads
from tests.conformance.journal_suite import call, record
from tests.store.parts import PROJECT, Store, Worker, render

GAP = ({"step": "reach", "reason": "dependency_failed"},)


class Mended:
    """A job that has just succeeded without a step, and the doors of one worker."""

    def __init__(self, store: Store, worker: Worker, job: Claimed) -> None:
        self.store, self.worker, self.job = store, worker, job
        self.mends = Mends(store.database, render)

    async def read(self) -> Job:
        """The job as clients see it."""
        found = await Reads(self.store.database).job(PROJECT, self.job.id)
        assert found is not None
        return found

    async def sql(self, statement: str, *values: Any) -> list[Any]:
        """Rows."""
        async with self.store.database.connection() as connection:
            return list(await connection.fetch(statement, *values))

    async def due(self) -> Due:
        """It is due, and this worker's."""
        await self.sql("update mends set due_at = now() where job_id = $1", self.job.id)
        (found,) = [due for due in await self.mends.claim(100) if due.job.id == self.job.id]
        return found


@pytest.fixture
async def mended(store: Store) -> Mended:
    worker = store.worker()
    await store.submit("bulk")
    job = await worker.claims.claim("bulk")
    assert job is not None
    leave = Leave(job, Status.SUCCEEDED, output=b'"without"', degraded=GAP, mend_after_s=3600)
    assert await worker.leaves.leave(leave) is not None
    return Mended(store, worker, job)


async def test_it_is_taken_when_it_is_due_and_by_one(mended: Mended) -> None:
    assert await mended.mends.claim(100) == []
    due = await mended.due()
    assert (due.tries, due.degraded, due.job.resumed) == (0, list(GAP), True)
    assert due.job.epoch == mended.job.epoch + 1
    assert await mended.mends.claim(100) == []


async def test_the_new_output_stands_under_a_new_revision_and_is_told(mended: Mended) -> None:
    before, due = await mended.read(), await mended.due()
    moved = await mended.mends.settle(Mend(due.job, NO_USAGE, None, output=b'"with"'))
    after = await mended.read()
    assert moved is not None and moved.revision == after.revision == before.revision + 1
    assert (after.status, after.output, after.degraded) == (Status.SUCCEEDED, b'"with"', [])
    assert (after.ended_at, after.expires_at, after.attempt) == (before.ended_at, before.expires_at, before.attempt)
    events = await mended.sql("select type, revision from events where job_id = $1 order by seq", mended.job.id)
    assert [tuple(row) for row in events][-1] == ("job.updated", after.revision)
    payloads = await mended.sql("select body from payloads where job_id = $1", mended.job.id)
    assert sorted(row["body"] for row in payloads) == sorted([mended.job.input, b'"with"'])
    assert not await mended.sql("select * from mends where job_id = $1", mended.job.id)


async def test_a_try_that_brings_nothing_changes_nothing_but_its_time(mended: Mended) -> None:
    before, due = await mended.read(), await mended.due()
    assert await mended.mends.settle(Mend(due.job, NO_USAGE, 60)) is None
    assert orjson.dumps(job_view(await mended.read())) == orjson.dumps(job_view(before))
    assert (await mended.due()).tries == 1
    assert (await mended.mends.settle(Mend((await mended.due()).job, NO_USAGE, 60, tried=False))) is None
    assert (await mended.due()).tries == 1


async def test_what_such_a_try_cost_is_seen_without_an_event(mended: Mended) -> None:
    before, due = await mended.read(), await mended.due()
    moved = await mended.mends.settle(Mend(due.job, Usage(cost_nanos=7, calls=1), 60))
    after = await mended.read()
    assert moved is not None and moved.event is None
    assert (after.usage.cost_nanos, after.revision, after.output) == (7, before.revision + 1, before.output)


async def test_who_lost_it_writes_neither_steps_nor_output(mended: Mended) -> None:
    first = await mended.due()
    second = await mended.due()
    assert not await mended.worker.steps.write(first.job, StepWrite(record("reach"), (call(),)))
    assert await mended.mends.settle(Mend(first.job, NO_USAGE, None, output=b'"stale"')) is None
    assert await mended.worker.steps.write(second.job, StepWrite(record("reach"), (call(),)))
    assert (await mended.read()).output == b'"without"'


async def test_nobody_writes_steps_of_a_job_that_ended_but_who_mends_it(mended: Mended) -> None:
    assert not await mended.worker.steps.write(mended.job, StepWrite(record("reach"), ()))


async def test_one_whose_result_has_expired_is_let_go(mended: Mended) -> None:
    await mended.sql("update jobs set expires_at = now() where id = $1", mended.job.id)
    await mended.sql("update mends set due_at = now() where job_id = $1", mended.job.id)
    assert await mended.mends.claim(100) == []
    assert not await mended.sql("select * from mends where job_id = $1", mended.job.id)


async def test_a_job_that_lacks_nothing_is_not_mended(store: Store) -> None:
    worker = store.worker()
    job_id: UUID = await store.submit("bulk")
    job = await worker.claims.claim("bulk")
    assert job is not None and job.id == job_id
    await worker.leaves.leave(Leave(job, Status.SUCCEEDED, output=b"1"))
    async with store.database.connection() as connection:
        assert await connection.fetchval("select count(*) from mends where job_id = $1", job_id) == 0
