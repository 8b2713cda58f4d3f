"""Within a lane: priority 9 first, first come first served within a priority, nothing before its time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from app.domain.job import Reason, Status
from tests.lanes.turns import Turns


async def _mixed(turns: Turns, count: int) -> list[object]:
    """Jobs of drawn priorities; the order in which they must start."""
    draw = random.Random(7)
    placed = []
    for place in range(count):
        priority = draw.randrange(10)
        (job_id,) = await turns.submit(priority=priority)
        placed.append((-priority, place, job_id))
    return [job_id for *_, job_id in sorted(placed)]


async def test_one_slot_starts_by_priority_then_by_arrival(turns: Turns) -> None:
    expected = await _mixed(turns, 40)
    assert [job.id for job in await turns.worker().run(40)] == expected


async def test_slots_that_ask_together_get_the_same_order(turns: Turns) -> None:
    expected = await _mixed(turns, 40)
    worker = turns.worker()
    started = [*await worker.start_all(15), *await worker.start_all(15), *await worker.start_all(15)]
    assert [job.id for job in started] == expected


async def test_a_job_for_later_never_starts_early_whatever_its_priority(turns: Turns) -> None:
    due_at = datetime.now(UTC) + timedelta(seconds=0.6)
    (later,) = await turns.submit(priority=9, status=Status.SCHEDULED, reason=Reason.RUN_AT, due_at=due_at)
    low = await turns.submit(3, priority=0)
    worker = turns.worker()
    assert {job.id for job in await worker.run(10)} == set(low)
    while (job := await worker.start()) is None:
        pass
    assert job.id == later
    assert job.claimed_at >= due_at


async def test_work_for_tomorrow_is_not_read_to_find_todays(turns: Turns) -> None:
    await turns.fill(20_000, priority=9, later_s=86_400)
    (today,) = await turns.submit(priority=0)
    (job,) = await turns.worker().run(5)
    assert job.id == today
