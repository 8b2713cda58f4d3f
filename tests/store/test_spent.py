"""What a job used stands in its row, however its last claim ended."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.domain.step import StepWrite
from tests.conformance.journal_suite import call, record
from tests.store.parts import PROJECT, Store, Worker
from tests.verified import broken

_SPENT = "select status, calls, input_tokens, output_tokens, cost_nanos, attempt_cost_nanos from jobs where id = $1"


async def test_a_job_that_lost_its_worker_says_what_its_recorded_calls_used(store: Store, postgres: Any) -> None:
    worker, job_id = store.worker(), await store.submit("lost")
    await spend(worker, "lost")
    await store.controls.recover([worker.id], died=True)
    assert await spent(store, job_id) == ("queued", 1, 10, 5, 1234, 1234)
    for _ in range(2):
        await spend(worker, "lost")
        await store.controls.recover([worker.id], died=True)
    assert await spent(store, job_id) == ("failed", 3, 30, 15, 3702, 3702)
    assert await broken(postgres.url) == []


async def test_a_running_job_that_was_canceled_and_lost_its_worker_does_too(store: Store, postgres: Any) -> None:
    worker, job_id = store.worker(), await store.submit("canceled")
    await spend(worker, "canceled")
    await store.controls.cancel(PROJECT, job_id)
    await store.controls.recover([worker.id], died=True)
    assert await spent(store, job_id) == ("canceled", 1, 10, 5, 1234, 1234)
    assert await broken(postgres.url) == []


async def spend(worker: Worker, lane: str) -> None:
    """Claim the lane's job and record a step with one call."""
    job = await worker.claims.claim(lane)
    assert job is not None
    worker.claims.let_go(job.id)
    assert await worker.steps.write(job, StepWrite(record(f"step {job.epoch}"), (call(),)))


async def spent(store: Store, job_id: UUID) -> tuple[Any, ...]:
    async with store.database.connection() as connection:
        return tuple(await connection.fetchrow(_SPENT, job_id) or ())
