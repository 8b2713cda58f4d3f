"""Ordering keys: the jobs of one key run one after the other, in the order of their submits; others pass them by."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.domain import ids
from app.domain.job import Reason, Status
from app.store.announce import Moved
from app.store.controls import Refusal
from tests.lanes.turns import Turns, Worker
from tests.store.parts import PROJECT

_JOBS = """
select id, status, reason, started_at, ended_at, revision, due_at from jobs where lane = $1
order by ordering_place, id
"""


async def states(turns: Turns) -> list[tuple[str, str | None]]:
    """State and reason of each job, in the order of the line."""
    return [(row["status"], row["reason"]) for row in await turns.sql(_JOBS, turns.lane)]


async def cancel(turns: Turns, job_id: UUID) -> Moved | Status | Refusal:
    return await turns.store.controls.cancel(PROJECT, job_id)


async def retry(turns: Turns, job_id: UUID) -> None:
    assert await turns.store.controls.retry(PROJECT, job_id, version=None, from_start=False) is None


async def started(worker: Worker) -> UUID:
    """The job that starts next; the worker keeps it."""
    job = await worker.start()
    assert job is not None
    return job.id


async def test_only_the_first_of_a_key_starts_and_its_end_frees_the_next(turns: Turns) -> None:
    keyed = [*await turns.submit(ordering_key=turns.key), *await turns.submit(ordering_key=turns.key)]
    (plain,) = await turns.submit()
    assert await states(turns) == [("queued", None), ("queued", "ordering"), ("queued", None)]
    worker = turns.worker()
    first = await worker.start()
    assert first is not None
    assert first.id == keyed[0]
    assert await started(worker) == plain, "the rest runs in parallel"
    assert await worker.start() is None
    await worker.end(first)
    assert await states(turns) == [("succeeded", None), ("queued", None), ("running", None)]
    assert await started(worker) == keyed[1]


async def test_keys_of_other_projects_are_other_keys(turns: Turns) -> None:
    for project in (ids.uuid7(), ids.uuid7()):
        await turns.submit(project_id=project, ordering_key="k")
    assert len(await turns.worker().start_all(5)) == 2


@pytest.mark.parametrize("end", [Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EXPIRED])
async def test_whatever_the_end_the_next_follows(turns: Turns, end: Status) -> None:
    """A dead letter does not block its key."""
    await turns.submit(2, ordering_key=turns.key)
    worker = turns.worker()
    job = await worker.start()
    assert job is not None
    await worker.end(job, end)
    assert await states(turns) == [(str(end), None), ("queued", None)]


async def test_an_unstarted_first_that_is_canceled_frees_the_next(turns: Turns) -> None:
    line = [*await turns.submit(3, ordering_key=turns.key)]
    await cancel(turns, line[1])
    assert await states(turns) == [("queued", None), ("canceled", None), ("queued", "ordering")]
    await cancel(turns, line[0])
    assert await states(turns) == [("canceled", None), ("canceled", None), ("queued", None)]


async def test_clients_clocks_end_jobs_in_line(turns: Turns) -> None:
    soon = datetime.now(UTC) - timedelta(seconds=1)
    await turns.submit(ordering_key=turns.key, start_by=soon)
    await turns.submit(ordering_key=turns.key, start_by=soon)
    await turns.submit(ordering_key=turns.key)
    await turns.store.controls.expire_due()
    assert await states(turns) == [("expired", None), ("expired", None), ("queued", None)]


async def test_a_lost_workers_job_stays_first(turns: Turns) -> None:
    line = await turns.submit(2, ordering_key=turns.key)
    lost = turns.worker()
    assert await started(lost) == line[0]
    await turns.store.controls.recover([lost.id], died=False)
    assert await states(turns) == [("queued", None), ("queued", "ordering")]
    assert await started(turns.worker()) == line[0]


async def test_a_parked_first_holds_its_line(turns: Turns) -> None:
    """A sleep or a retry's wait is not an end: order is kept over it."""
    await turns.submit(2, ordering_key=turns.key)
    worker = turns.worker()
    job = await worker.start()
    assert job is not None
    await turns.sql(
        "update jobs set status = 'scheduled', reason = 'retry', due_at = now() + interval '1 h' where id = $1", job.id
    )
    assert await worker.start() is None
    assert await states(turns) == [("scheduled", "retry"), ("queued", "ordering")]


async def test_a_first_for_later_holds_its_line(turns: Turns) -> None:
    due_at = datetime.now(UTC) + timedelta(hours=1)
    later: dict[str, Any] = {"status": Status.SCHEDULED, "reason": Reason.RUN_AT, "due_at": due_at}
    (first,) = await turns.submit(ordering_key=turns.key, **later)
    await turns.submit(ordering_key=turns.key, **later)
    await turns.submit(ordering_key=turns.key)
    assert await turns.worker().start() is None
    await cancel(turns, first)
    assert await states(turns) == [("canceled", None), ("scheduled", "run_at"), ("queued", "ordering")]
    (second,) = [row for row in await turns.sql(_JOBS, turns.lane) if row["status"] == "scheduled"]
    assert second["due_at"] == due_at


async def test_a_retried_job_takes_its_old_place_behind_the_one_under_way(turns: Turns) -> None:
    line = await turns.submit(4, ordering_key=turns.key)
    worker = turns.worker()
    first = await worker.start()
    assert first is not None
    await worker.end(first, Status.FAILED)
    second = await worker.start()
    assert second is not None
    await retry(turns, line[0])
    assert await worker.start() is None, "not beside the one under way"
    await worker.end(second)
    assert [job.id for job in await worker.run(5)] == [line[0], line[2], line[3]]


async def test_a_retried_job_of_an_empty_line_starts_at_once(turns: Turns) -> None:
    (only,) = await turns.submit(ordering_key=turns.key)
    worker = turns.worker()
    job = await worker.start()
    assert job is not None
    await worker.end(job, Status.FAILED)
    await retry(turns, only)
    (again,) = await worker.run(2)
    assert again.id == only


async def test_the_answer_to_a_submit_knows_that_it_stands_behind(turns: Turns) -> None:
    first, second = await turns.submitted(ordering_key=turns.key), await turns.submitted(ordering_key=turns.key)
    assert (first.behind, second.behind) == (False, True)


async def test_a_move_up_is_a_new_revision(turns: Turns) -> None:
    _, second = await turns.submit(2, ordering_key=turns.key)
    await turns.worker().run(1)
    assert [row["revision"] for row in await turns.sql(_JOBS, turns.lane) if row["id"] == second] == [2]


async def test_a_long_line_is_not_read_to_pass_it(turns: Turns) -> None:
    """10,000 that wait behind one another are out of every claim's sight."""
    await asyncio.gather(*(turns.submit(500, ordering_key=turns.key, priority=9) for _ in range(8)))
    (plain,) = await turns.submit(priority=0)
    worker = turns.worker()
    await worker.start()
    assert await started(worker) == plain
    assert (
        await turns.sql("select 1 from jobs where lane = $1 and due_at <= now() and status = 'queued'", turns.lane)
        == []
    )
