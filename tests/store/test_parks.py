"""Jobs that are parked for a pool, in a real PostgreSQL: whose turn it is, and how many come."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.domain.job import Claimed, Reason, Status
from app.domain.park import Room, Standing
from app.store.leaves import Leave
from app.store.parks import Parks
from tests.store.parts import Store

FLOOD, SMALL = UUID(int=21), UUID(int=22)
POOL = "main/mini"
LANES = ("interactive", "standard", "bulk")


class Parked:
    """A lane's jobs, parked for a pool by one worker."""

    def __init__(self, store: Store) -> None:
        self.store, self.worker = store, store.worker()
        self.parks = Parks(store.database)

    async def park(self, lane: str, count: int, project: UUID = FLOOD, pool: str = POOL, priority: int = 5) -> None:
        """So many more of them."""
        for _ in range(count):
            await self.store.submit(lane, project_id=project, priority=priority)
        for _ in range(count):
            job = await self.worker.claims.claim(lane)
            assert job is not None
            until = datetime.now(UTC) + timedelta(hours=1)
            leave = Leave(job, Status.WAITING, reason=Reason.RATE_LIMIT, due_at=until, pool=pool)
            assert await self.worker.leaves.leave(leave) is not None

    async def wake(self, *free: int, standing: tuple[Standing, ...] = ()) -> Counter[str]:
        """How many of each lane were woken by so much room."""
        return Counter(await self.parks.wake(POOL, Room(dict(zip(LANES, free, strict=True)), standing)))

    async def woken(self, lane: str) -> list[Claimed]:
        """Those of the lane that may be claimed now, claimed."""
        found = []
        while (job := await self.worker.claims.claim(lane)) is not None:
            found.append(job)
        return found


@pytest.fixture
async def parked(store: Store) -> Parked:
    async with store.database.connection() as connection:
        await connection.execute("truncate jobs, payloads, attempts, events, tenants")
    return Parked(store)


async def test_only_as_many_are_woken_as_there_is_room_for_and_those_on_their_way_count(parked: Parked) -> None:
    await parked.park("bulk", 7)
    await parked.park("bulk", 2, pool="other/pool")
    assert sorted(await parked.parks.pools()) == [POOL, "other/pool"]
    assert await parked.wake(0, 0, 3) == {"bulk": 3}
    assert await parked.wake(0, 0, 3) == {}
    assert await parked.wake(0, 0, 4) == {"bulk": 1}
    (line,) = await parked.parks.lines(POOL)
    assert (line.asleep, line.woken) == (3, 4)
    assert len(await parked.woken("bulk")) == 4
    (line,) = await parked.parks.lines(POOL)
    assert (line.asleep, line.woken) == (3, 0)


async def test_real_time_lanes_come_first_and_have_room_of_their_own(parked: Parked) -> None:
    for lane in LANES:
        await parked.park(lane, 5)
    assert await parked.wake(4, 2, 2) == {"interactive": 4}
    assert await parked.wake(6, 6, 0) == {"interactive": 1, "standard": 1}
    assert await parked.wake(9, 9, 9) == {"standard": 3}
    assert await parked.wake(99, 99, 99) == {"standard": 1, "bulk": 5}


async def test_a_small_project_comes_beside_a_flood_and_who_stands_in_line_counts(parked: Parked) -> None:
    await parked.park("bulk", 40)
    await parked.park("bulk", 3, SMALL)
    await parked.wake(0, 0, 6)
    assert Counter(job.project_id for job in await parked.woken("bulk")) == {FLOOD: 3, SMALL: 3}
    await parked.park("bulk", 3, SMALL)
    standing = (Standing("bulk", FLOOD, 10, 500.0), Standing("bulk", SMALL, 1, 20.0))
    await parked.wake(0, 0, 3, standing=standing)
    assert Counter(job.project_id for job in await parked.woken("bulk")) == {SMALL: 3}


async def test_of_equal_ones_the_project_that_had_least_and_within_it_by_priority_then_age(parked: Parked) -> None:
    await parked.park("bulk", 2)
    await parked.park("bulk", 1, priority=9)
    await parked.park("bulk", 1, SMALL)
    had = (Standing("bulk", FLOOD, 0, 10.0), Standing("bulk", SMALL, 0, 20.0))
    await parked.wake(0, 0, 1, standing=had)
    (first,) = await parked.woken("bulk")
    async with parked.store.database.connection() as connection:
        priority = await connection.fetchval("select priority from jobs where id = $1", first.id)
    assert (first.project_id, priority) == (FLOOD, 9)


async def test_processes_that_look_at_once_wake_no_more_than_one_would(parked: Parked, store: Store) -> None:
    await parked.park("bulk", 30)
    woken = await asyncio.gather(*(parked.wake(0, 0, 10) for _ in range(6)))
    assert sum(sum(one.values()) for one in woken) == 10


async def test_what_is_no_longer_parked_is_not_woken(parked: Parked, store: Store) -> None:
    await parked.park("bulk", 2)
    async with store.database.connection() as connection:
        await connection.execute(
            "update jobs set status = 'canceled' where id = (select min(id::text)::uuid from jobs)"
        )
    assert await parked.wake(0, 0, 9) == {"bulk": 1}


async def test_who_was_woken_is_claimed_before_those_that_come_for_the_first_time(parked: Parked) -> None:
    await parked.park("bulk", 3)
    for _ in range(5):
        await parked.store.submit("bulk", project_id=FLOOD, due_at=datetime.now(UTC) - timedelta(hours=1))
    await parked.wake(0, 0, 2)
    claimed = await parked.woken("bulk")
    assert [job.resumed for job in claimed] == [True] * 2 + [False] * 5
