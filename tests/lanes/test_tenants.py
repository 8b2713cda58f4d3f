"""Tenants share a lane by what they have had of it: a flood costs the others next to nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

from app.domain.job import Claimed
from app.store.tenants import LANE
from tests.lanes.turns import Turns, tenants


def _places(started: list[Claimed], project_id: UUID) -> list[int]:
    return [place for place, job in enumerate(started) if job.project_id == project_id]


async def test_a_flood_does_not_hold_back_small_tenants(turns: Turns) -> None:
    flood, one, other = tenants(3)
    await turns.submit(2000, project_id=flood)
    worker = turns.worker()
    before = await worker.run(40)
    assert {job.project_id for job in before} == {flood}
    for project in (one, other):
        await turns.submit(20, project_id=project)
    after = await worker.run(100)
    places = {project: _places(after, project) for project in (flood, one, other)}
    assert max(places[one][0], places[other][0]) <= 4, "their first jobs start within the next few slots"
    assert max(places[one][-1], places[other][-1]) <= 64, "and the 40th of theirs after some 20 of the flood"
    assert len(places[one]) == len(places[other]) == 20
    assert len(places[flood]) == 60, "the rest is the flood's: no slot stays empty for fairness"


async def test_slots_that_ask_together_are_shared_out(turns: Turns) -> None:
    projects = tenants(3)
    for project, count in zip(projects, (500, 50, 50), strict=True):
        await turns.submit(count, project_id=project)
    shares = Counter(job.project_id for job in await turns.worker().start_all(30))
    assert sorted(shares.values()) == [10, 10, 10]


async def test_within_a_tenant_priority_then_arrival(turns: Turns) -> None:
    one, other = tenants(2)
    for project in (one, other):
        await turns.submit(5, project_id=project, priority=4)
    (urgent,) = await turns.submit(project_id=other, priority=9)
    started = await turns.worker().run(11)
    assert urgent in [job.id for job in started[:2]]
    for project in (one, other):
        own = [(-job_priority, job.id) for job, job_priority in await _priorities(turns, started, project)]
        assert own == sorted(own)


async def _priorities(turns: Turns, started: list[Claimed], project_id: UUID) -> list[tuple[Claimed, int]]:
    rows = await turns.sql("select id, priority from jobs where lane = $1", turns.lane)
    priority = {row["id"]: row["priority"] for row in rows}
    return [(job, priority[job.id]) for job in started if job.project_id == project_id]


async def test_long_runs_cost_more_than_short_ones(turns: Turns) -> None:
    """The tenant whose jobs hold a slot for 0.4 s gets about a quarter of the starts of one with quick jobs."""
    heavy, light = tenants(2)
    await turns.submit(30, project_id=heavy, workflow="heavy")
    await turns.submit(60, project_id=light, workflow="light")
    worker, started = turns.worker(), Counter[UUID]()
    while started[heavy] < 6:
        job = await worker.start()
        assert job is not None
        started[job.project_id] += 1
        await asyncio.sleep(0.4 if job.project_id == heavy else 0)
        await worker.end(job)
    assert started[light] >= 12


async def test_who_was_idle_joins_the_others_and_has_nothing_saved(turns: Turns) -> None:
    busy, idle, third = tenants(3)
    await turns.submit(3, project_id=idle)
    await turns.submit(300, project_id=busy)
    await turns.submit(300, project_id=third)
    worker = turns.worker()
    await worker.run(150)
    await turns.submit(100, project_id=idle)
    shares = Counter(job.project_id for job in await worker.run(60))
    assert all(15 <= shares[project] <= 25 for project in (busy, idle, third)), shares


async def test_times_outlive_a_worker(turns: Turns) -> None:
    one, other = tenants(2)
    first = turns.worker()
    await turns.submit(50, project_id=one)
    await turns.submit(1, project_id=other)
    await first.run(20)
    await turns.submit(50, project_id=other)
    await first.claims._tenants.written()
    rows = await turns.sql("select project_id, virtual_time from tenants where lane = $1", turns.lane)
    assert {row["project_id"] for row in rows} == {one, other, LANE}
    shares = Counter(job.project_id for job in await turns.worker().run(30))
    assert all(10 <= shares[project] <= 20 for project in (one, other)), shares


async def test_a_lane_with_one_tenant_is_not_charged(turns: Turns) -> None:
    await turns.submit(20)
    await turns.worker().run(20)
    assert await turns.sql("select 1 from tenants where lane = $1", turns.lane) == []


async def test_hundreds_of_tenants_each_get_their_turn(turns: Turns) -> None:
    projects = tenants(200)
    await asyncio.gather(*(turns.submit(6, project_id=project) for project in projects))
    worker = turns.worker()
    started: list[Claimed] = []
    while len(started) < 600:
        wave = await worker.start_all(10)
        await asyncio.gather(*(worker.end(job) for job in wave))
        started += wave
    shares = Counter(job.project_id for job in started)
    assert all(2 <= shares[project] <= 4 for project in projects), "three for each, give or take one"


async def test_workers_that_claim_at_once_start_each_job_once(turns: Turns) -> None:
    for project in tenants(5):
        await turns.submit(100, project_id=project)
    workers = [turns.worker() for _ in range(4)]

    async def all_of(worker: int) -> list[Claimed]:
        mine: list[Claimed] = []
        while wave := await workers[worker].start_all(7):
            mine += wave
        return mine

    taken = await asyncio.gather(*(all_of(n) for n in range(4)))
    assert Counter(job.id for mine in taken for job in mine).most_common(1)[0][1] == 1
    assert sum(map(len, taken)) == 500
    assert sum(bool(mine) for mine in taken) >= 2


async def test_what_others_hold_is_passed_over(turns: Turns) -> None:
    """A claim that is under way has locked the heads: the next one takes what comes after, and waits for nobody."""
    ids = await turns.submit(400)
    async with turns.database.transaction() as connection:
        await connection.execute("select 1 from jobs where id = any($1::uuid[]) for update", ids[:300])
        started = await turns.worker().start_all(10)
    assert [job.id for job in started] == ids[300:310]
