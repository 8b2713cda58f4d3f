"""Deaths under a job: three within 72 hours without a finished step between make it a dead letter."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.domain.job import Claimed, Status
from tests.store.parts import Store

LANE = "standard"


async def die(store: Store, *, after_step: bool = False) -> Status:
    """A worker claims the job, maybe finishes a step, and dies; the job's state then."""
    worker = store.worker()
    job = await worker.claims.claim(LANE)
    assert isinstance(job, Claimed)
    if after_step:
        await worker.claims.acquit(job)
    (moved,) = await store.controls.recover([worker.id], died=True)
    return moved.status


async def row(store: Store, job_id: UUID) -> Any:
    async with store.database.connection() as connection:
        return await connection.fetchrow("select * from jobs where id = $1", job_id)


async def age(store: Store, job_id: UUID, *hours: float) -> None:
    """Make its deaths so many hours old."""
    async with store.database.connection() as connection:
        ages = [timedelta(hours=one) for one in hours]
        await connection.execute(
            "update jobs set deaths = (select array_agg(now() - a) from unnest($2::interval[]) a) where id = $1",
            job_id, ages,
        )  # fmt: skip


async def test_the_third_death_is_the_end(store: Store) -> None:
    job_id = await store.submit(LANE)
    assert [await die(store) for _ in range(3)] == [Status.QUEUED, Status.QUEUED, Status.FAILED]
    job = await row(store, job_id)
    assert (job["error_class"], job["error_code"], job["disposition"]) == ("system", "worker_lost", "dead_letter")
    kept: datetime = job["expires_at"]
    assert (kept - job["ended_at"]).total_seconds() == pytest.approx(job["retain_s"], abs=1)


async def test_deaths_of_more_than_72_hours_ago_do_not_count(store: Store) -> None:
    job_id = await store.submit(LANE)
    assert await die(store) == Status.QUEUED
    await age(store, job_id, 72.1, 72.5)
    assert await die(store) == Status.QUEUED
    assert len((await row(store, job_id))["deaths"]) == 1
    await age(store, job_id, 71.9, 71.5)
    assert await die(store) == Status.FAILED


async def test_a_finished_step_acquits(store: Store) -> None:
    await store.submit(LANE)
    states = [await die(store), await die(store), await die(store, after_step=True), await die(store), await die(store)]
    assert states == [Status.QUEUED] * 4 + [Status.FAILED]
