"""The store makes every move of the table of transitions, and no other: each verb on a job in each state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.domain import ids
from app.domain.job import REASONS, TRANSITIONS, Claimed, Reason, Status, Verb, allowed
from tests.properties.life_stage import Held
from tests.properties.life_ways import leave_of
from tests.store.parts import PROJECT, Store, Worker
from tests.supervise.embedded import RunningServer
from tests.verified import broken

MOVES = [
    (verb, before, after)
    for verb, (_, targets) in TRANSITIONS.items()
    for before in Status
    for after in sorted(targets)
    if verb is not Verb.SUBMIT
]
_PAST = datetime.now(UTC) - timedelta(seconds=1)
_TWO_DEATHS = "update jobs set deaths = array[now(), now()] where id = $1"
_CLOCK = "update jobs set expire_by = now() - interval '1 second' where id = $1"


@dataclass(frozen=True, slots=True)
class Subject:
    """A job in a lane of its own; `job` is its last claim, made up where it had none."""

    store: Store
    worker: Worker
    lane: str
    id: UUID
    job: Claimed

    async def row(self) -> Any:
        async with self.store.database.connection() as connection:
            return await connection.fetchrow("select status, epoch from jobs where id = $1", self.id)

    async def sql(self, statement: str) -> None:
        async with self.store.database.connection() as connection:
            await connection.execute(statement, self.id)

    async def leave(self, status: Status) -> None:
        """By whom the fence would let through, did it look at the epoch alone."""
        job = replace(self.job, epoch=(await self.row())["epoch"])
        reason = None if None in REASONS[status] else Reason.SLEEP if status is Status.SCHEDULED else Reason.SYSTEM
        held = Held(0, job, job.usage, job.attempt_cost_nanos)
        await self.worker.leaves.leave(leave_of(held, status, reason, _PAST, charged=False))


@pytest.fixture(scope="module", autouse=True)
async def clean(store: Store, postgres: RunningServer) -> AsyncIterator[None]:
    """Whatever the moves were, every invariant holds after them."""
    yield
    assert await broken(postgres.url) == []


@pytest.mark.parametrize(("verb", "before", "after"), MOVES)
async def test_a_verb_moves_a_job_as_the_table_says(store: Store, verb: Verb, before: Status, after: Status) -> None:
    subject = await _subject(store, before)
    assert (await subject.row())["status"] == before
    await _act(subject, verb, after)
    assert (await subject.row())["status"] == (after if allowed(verb, before, after) else before)
    # So that no claim of another case can see it.
    await subject.sql("update jobs set lane = id::text where id = $1")


async def _subject(store: Store, status: Status) -> Subject:
    """A new job in that state."""
    lane, worker = ids.uuid7().hex, store.worker()
    await store.submit(lane)
    job = await worker.claims.claim(lane)
    assert job is not None
    if status in (Status.QUEUED, Status.SCHEDULED):
        # One that never ran.
        given = {"status": status, "reason": Reason.RUN_AT if status is Status.SCHEDULED else None, "due_at": _PAST}
        job_id = await store.submit(lane, **given)
        return Subject(store, worker, lane, job_id, replace(job, id=job_id))
    subject = Subject(store, worker, lane, job.id, job)
    if status is not Status.RUNNING:
        await subject.leave(status)
    return subject


async def _act(subject: Subject, verb: Verb, after: Status) -> None:
    controls = subject.store.controls
    match verb:
        case Verb.CLAIM:
            await subject.worker.claims.claim(subject.lane)
        case Verb.SETTLE | Verb.PARK:
            await subject.leave(after)
        case Verb.RECOVER:
            await _recover(subject, after)
        case Verb.CANCEL:
            await controls.cancel(PROJECT, subject.id)
        case Verb.EXPIRE:
            await subject.sql(_CLOCK)
            await controls.expire_due()
        case Verb.RETRY:
            await controls.retry(PROJECT, subject.id, version=None, from_start=False)


async def _recover(subject: Subject, after: Status) -> None:
    if after is Status.FAILED:
        await subject.sql(_TWO_DEATHS)
    if after is Status.CANCELED and (await subject.row())["status"] == Status.RUNNING:
        await subject.store.controls.cancel(PROJECT, subject.id)
    await subject.store.controls.recover([subject.worker.id], died=True)
