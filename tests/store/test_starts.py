"""The first start of a job is told once, whatever came before it."""

from __future__ import annotations

from uuid import UUID

from tests.store.parts import PROJECT, Store


async def test_a_job_that_was_canceled_before_its_start_is_told_as_started_after_its_retry(store: Store) -> None:
    worker, job_id = store.worker(), await store.submit("retried")
    await store.controls.cancel(PROJECT, job_id)
    await store.controls.retry(PROJECT, job_id, version=None, from_start=False)
    assert await worker.claims.claim("retried") is not None
    assert await events(store, job_id) == ["job.submitted", "job.canceled", "job.retried", "job.started"]


async def test_a_second_claim_is_no_start(store: Store) -> None:
    worker, job_id = store.worker(), await store.submit("recovered")
    for _ in range(2):
        assert await worker.claims.claim("recovered") is not None
        await store.controls.recover([worker.id], died=False)
    assert await events(store, job_id) == ["job.submitted", "job.started"]


async def events(store: Store, job_id: UUID) -> list[str]:
    async with store.database.connection() as connection:
        found = await connection.fetch("select type from events where job_id = $1 order by seq", job_id)
    return [row["type"] for row in found]
