"""The journal in SQL, under the fence of the job's epoch."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK
from app.domain.job import Claimed
from app.engine.journal import Journal
from app.jobs.journal import SqlJournal
from tests.conformance.journal_suite import JournalJob, JournalSuite
from tests.store.parts import Store, Worker


class _SqlJob:
    """One worker holds it under one epoch after the other, as one process may: its writes share transactions."""

    def __init__(self, store: Store, worker: Worker, claimed: Claimed) -> None:
        self._store = store
        self._worker = worker
        self._claimed = claimed
        self.job_id: UUID = claimed.id

    def journal(self) -> Journal:
        return SqlJournal(self._worker.steps, self._claimed, SYSTEM_CLOCK)

    async def take_over(self) -> Journal:
        await self._store.controls.recover([self._worker.id], died=False)
        self._claimed = await claimed(self._worker, self._claimed.lane)
        return self.journal()

    async def paid(self) -> set[UUID]:
        async with self._store.database.connection() as connection:
            rows = await connection.fetch("select call_id from ledger where job_id = $1", self.job_id)
        return {row["call_id"] for row in rows}


async def claimed(worker: Worker, lane: str) -> Claimed:
    """The lane's only job."""
    job = await worker.claims.claim(lane)
    assert job is not None
    return job


class TestSqlJournal(JournalSuite):
    """The suite, on PostgreSQL."""

    @pytest.fixture
    async def job(self, store: Store) -> JournalJob:
        lane, worker = ids.uuid7().hex, store.worker()
        await store.submit(lane)
        return _SqlJob(store, worker, await claimed(worker, lane))
