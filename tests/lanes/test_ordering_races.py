"""Submits, ends and cancels of the same keys at once: nobody runs beside another, nobody is forgotten in line."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

from app.domain.job import Status
from app.store.submissions import Submission, Submissions
from tests.lanes.turns import Turns, Worker
from tests.store.parts import PROJECT, new_job, render

_RUNS = """
select id, ordering_key, ordering_place, status, started_at, ended_at from jobs where lane = $1
order by ordering_key, ordering_place
"""
_OVERLAPS = """
select count(*) as n from jobs a join jobs b on b.ordering_key = a.ordering_key and b.ordering_place > a.ordering_place
where a.lane = $1 and b.lane = $1 and a.started_at is not null and b.started_at < a.ended_at
"""
_DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"
_LIVE = "select count(*) as n from jobs where lane = $1 and ended_at is null"


async def _live(turns: Turns) -> int:
    return int((await turns.sql(_LIVE, turns.lane))[0]["n"])


async def _work(worker: Worker, draw: random.Random, turns: Turns, fed: asyncio.Event) -> None:
    """Run jobs until all that were submitted have ended; some fail."""
    while True:
        wave = await worker.start_all(3)
        ends = [draw.choice([Status.SUCCEEDED, Status.SUCCEEDED, Status.FAILED]) for _ in wave]
        await asyncio.gather(*(worker.end(job, end) for job, end in zip(wave, ends, strict=True)))
        if not wave:
            if fed.is_set() and await _live(turns) == 0:
                return
            await asyncio.sleep(0.001)


async def _feed(turns: Turns, draw: random.Random, keys: int, count: int) -> None:
    """An API process: its own flushes, several keys in each, now and then a cancel."""
    submissions = Submissions(turns.database, render)
    for _ in range(count):
        jobs = [
            new_job(turns.lane, ordering_key=f"{turns.key}-{draw.randrange(keys)}") for _ in range(draw.randrange(1, 5))
        ]
        await asyncio.gather(*(submissions.submit(Submission(job)) for job in jobs))
        if draw.random() < 0.2:
            await turns.store.controls.cancel(PROJECT, draw.choice(jobs).id)
        await asyncio.sleep(draw.random() * 0.004)


async def test_short_lines_that_fill_and_empty_at_once(turns: Turns) -> None:
    before = (await turns.sql(_DEADLOCKS))[0]["deadlocks"]
    fed = asyncio.Event()
    workers = [asyncio.create_task(_work(turns.worker(), random.Random(n), turns, fed)) for n in range(3)]
    await asyncio.gather(*(_feed(turns, random.Random(n), keys=12, count=60) for n in range(10, 14)))
    fed.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*workers)
    rows = await turns.sql(_RUNS, turns.lane)
    assert len(rows) > 400
    assert (await turns.sql(_OVERLAPS, turns.lane))[0]["n"] == 0
    assert (
        await turns.sql("select 1 from ordering_lines l join jobs j on j.id = l.job_id where j.lane = $1", turns.lane)
        == []
    )
    print("deadlocks", (await turns.sql(_DEADLOCKS))[0]["deadlocks"] - before)


async def test_a_hundred_submits_at_once_run_one_after_the_other_in_their_order(turns: Turns) -> None:
    processes = [Submissions(turns.database, render) for _ in range(4)]
    jobs = [new_job(turns.lane, ordering_key=turns.key) for _ in range(100)]
    await asyncio.gather(*(processes[n % 4].submit(Submission(job)) for n, job in enumerate(jobs)))
    fed = asyncio.Event()
    fed.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*(_work(turns.worker(), random.Random(n), turns, fed) for n in range(3)))
    rows = await turns.sql(_RUNS, turns.lane)
    starts = [row["started_at"] for row in rows]
    assert len(rows) == 100
    assert starts == sorted(starts), "in the order of their commits"
    assert all(a["ended_at"] <= b["started_at"] for a, b in pairwise(rows))
