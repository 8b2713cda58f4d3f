"""What counts as work that nobody claims: what a claim may take and does not, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from app.domain import ids
from app.store.database import Database, open_database
from app.store.migrate import migrate
from app.store.pauses import PauseKind, Pauses
from app.store.symptoms import Failed, Symptoms
from tests.store.parts import Store, running_postgres


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Database]:
    with running_postgres() as server:
        await migrate(server.url)
        opened = await open_database(server.url, 4)
        yield opened
        await opened.close()


@pytest.fixture
def lane() -> str:
    """Empty."""
    return ids.uuid7().hex


async def execute(database: Database, statement: str, *values: object) -> None:
    async with database.connection() as connection:
        await connection.execute(statement, *values)


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


async def test_what_is_due_for_long_enough(database: Database, lane: str) -> None:
    store, symptoms = Store(database), Symptoms(database)
    await store.submit(lane, due_at=ago(1))
    await store.submit(lane, due_at=ago(-60))
    assert await symptoms.unclaimed_s(lane, 3, True) is None
    await store.submit(lane, due_at=ago(30))
    assert await symptoms.unclaimed_s(lane, 3, True) == pytest.approx(30, abs=2)


@pytest.mark.parametrize("open_now", [True, False])
async def test_off_peak_work_counts_in_its_hours(database: Database, lane: str, open_now: bool) -> None:
    await Store(database).submit(lane, due_at=ago(30), off_peak=True)
    found = await Symptoms(database).unclaimed_s(lane, 3, open_now)
    assert (found is not None) is open_now


async def test_a_paused_workflow_is_no_reason(database: Database, lane: str) -> None:
    symptoms, pauses = Symptoms(database), Pauses(database)
    await Store(database).submit(lane, due_at=ago(30), workflow=lane)
    await pauses.pause(PauseKind.WORKFLOW, lane)
    assert await symptoms.unclaimed_s(lane, 3, True) is None
    await pauses.resume(PauseKind.WORKFLOW, lane)
    assert await symptoms.unclaimed_s(lane, 3, True) is not None


async def test_a_job_on_its_last_life_waits_for_its_turn(database: Database, lane: str) -> None:
    job_id = await Store(database).submit(lane, due_at=ago(30))
    await execute(database, "update jobs set deaths = array[now(), now()] where id = $1", job_id)
    assert await Symptoms(database).unclaimed_s(lane, 3, True) is None


async def test_what_failed_of_late(database: Database, lane: str) -> None:
    store, symptoms = Store(database), Symptoms(database)
    for age_s, disposition in ((10, "dead_letter"), (10, "quarantine"), (20, "quarantine"), (400, "dead_letter")):
        job_id = await store.submit(lane)
        failed = "update jobs set status = 'failed', disposition = $2, ended_at = $3 where id = $1"
        await execute(database, failed, job_id, disposition, ago(age_s))
    assert await symptoms.failed(300) == Failed(dead_letters=1, quarantined=2, webhooks=0)
    assert await symptoms.failed(15) == Failed(dead_letters=1, quarantined=1, webhooks=0)
