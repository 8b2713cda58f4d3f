"""Jobs that are parked for a pool, in a real PostgreSQL: whose turn it is, and how many come."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.domain.lane import LANES
from app.domain.park import Standing
from app.store.pauses import PauseKind, Pauses
from tests.store.parked import FLOOD, POOL, Parked
from tests.store.parts import Store

SMALL = UUID(int=22)
# Of a hundred projects; $1 the pool, $2 how many.
_CROWD = """
insert into jobs (
    id, project_id, workflow, version, lane, priority, status, reason, pool, due_at, created_at, expires_at, retain_s,
    input_id, trace_id, span_id, tags, metadata
)
select gen_random_uuid(), lpad((n % 100)::text, 32, '0')::uuid, 'noop', '1', 'bulk', 5, 'waiting', 'rate_limit', $1,
    now() + interval '1 hour', now(), now() + interval '1 day', 86400, gen_random_uuid(), 't', 's', '[]', '{}'
from generate_series(1, $2) n
"""


@pytest.fixture
async def parked(store: Store) -> Parked:
    async with store.database.connection() as connection:
        await connection.execute("truncate jobs, payloads, attempts, events, tenants, pauses")
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


async def test_room_that_is_owed_to_later_lanes_is_theirs_while_real_time_jobs_are_on_their_way(parked: Parked) -> None:
    await parked.park("interactive", 9)
    await parked.park("bulk", 9)
    assert await parked.wake(4, 5, 5) == {"interactive": 4, "bulk": 1}
    assert await parked.wake(4, 5, 5) == {}
    assert len(await parked.woken("bulk")) == 1
    assert await parked.wake(4, 5, 5) == {"bulk": 1}


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


@pytest.mark.parametrize(("kind", "name"), [(PauseKind.WORKFLOW, "broken"), (PauseKind.LANE, "standard")])
async def test_what_is_paused_takes_no_room_of_others_and_comes_when_it_goes_on(
    parked: Parked, kind: PauseKind, name: str
) -> None:
    pauses = Pauses(parked.store.database)
    await parked.park("standard", 9, workflow="broken", priority=9)
    assert await parked.wake(0, 4, 4) == {"standard": 4}
    await parked.park("bulk", 9)
    await pauses.pause(kind, name)
    (line,) = await parked.parks.lines(POOL)
    assert (line.lane, line.asleep, line.woken) == ("bulk", 9, 0)
    assert await parked.wake(0, 4, 4) == {"bulk": 4}
    assert len(await parked.woken("bulk")) == 4
    await pauses.resume(kind, name)
    assert [(line.lane, line.asleep, line.woken) for line in await parked.parks.lines(POOL)] == [
        ("standard", 5, 4), ("bulk", 5, 0),
    ]  # fmt: skip
    assert await parked.wake(0, 6, 6) == {"standard": 2}


async def test_a_project_has_one_line_of_all_its_workflows(parked: Parked) -> None:
    await parked.park("bulk", 3, workflow="first")
    await parked.park("bulk", 2, workflow="second", priority=9)
    (line,) = await parked.parks.lines(POOL)
    assert (line.project_id, line.asleep) == (FLOOD, 5)
    await parked.park("bulk", 3, SMALL)
    await parked.wake(0, 0, 4)
    woken = Counter((job.project_id, job.workflow) for job in await parked.woken("bulk"))
    assert woken == {(FLOOD, "second"): 2, (SMALL, "noop"): 2}


async def test_a_crowd_of_bulk_lines_hides_nobody_of_the_lanes_before_it(
    parked: Parked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.parks._MOST_LINES", 3)
    for number in range(5):
        await parked.park("bulk", 1, UUID(int=30 + number))
    await parked.park("interactive", 1)
    await parked.park("standard", 1)
    assert [line.lane for line in await parked.parks.lines(POOL)] == ["interactive", "standard", *["bulk"] * 3]
    assert await parked.wake(1, 2, 2) == {"interactive": 1, "standard": 1}


async def test_a_look_costs_little_however_many_wait(parked: Parked) -> None:
    async with parked.store.database.connection() as connection:
        await connection.execute(_CROWD, POOL, 20_000)
        await connection.execute("analyze jobs")
    assert await parked.wake(0, 0, 60) == {"bulk": 60}
    # Those who are on their way are counted once, not for each who sleeps: that took seconds.
    async with asyncio.timeout(1):
        assert await parked.wake(0, 0, 90) == {"bulk": 30}
        assert sum(line.woken for line in await parked.parks.lines(POOL)) == 90
