"""Tickets, slots and wake-ups on a real Valkey: all of it may be lost, none of it may hold work up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from arq.connections import ArqRedis

from app.bell.pool import LanePool, Serve
from app.bell.redis import open_redis
from app.bell.ring import Ring, queue_of
from app.bell.wake import Wake
from app.domain import ids
from tests.supervise.embedded import RunningServer

LANE = "standard"


class Work:
    """So many jobs; a slot takes one at a time."""

    def __init__(self, jobs: int, seconds: float = 0.0) -> None:
        self.left = jobs
        self.done = 0
        self.running = 0
        self.most = 0
        self._seconds = seconds

    async def serve(self) -> bool:
        """One job, if one is left."""
        if not self.left:
            return False
        self.left -= 1
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(self._seconds)
        self.running -= 1
        self.done += 1
        return True


@asynccontextmanager
async def pool_of(redis: ArqRedis, serve: Serve, slots: int = 4) -> AsyncIterator[LanePool]:
    """A pool that takes tickets."""
    pool = LanePool(LANE, slots, serve, redis, successor=lambda: None)
    running = asyncio.get_running_loop().create_task(pool.main())
    try:
        yield pool
    finally:
        await pool.drain(2)
        await asyncio.wait({running}, timeout=5)


async def until(true: Callable[[], bool], timeout_s: float = 10) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "did not come true in time"
        await asyncio.sleep(0.005)


async def test_one_ticket_serves_the_lane_until_it_is_empty(redis: ArqRedis, ring: Ring) -> None:
    work = Work(30)
    async with pool_of(redis, work.serve):
        ring.ring(LANE)
        await until(lambda: work.done == 30)
        await until(lambda: not work.running)
    assert work.most == 1
    assert await redis.zcard(queue_of(LANE)) == 0


async def test_no_more_slots_run_than_there_are(redis: ArqRedis, ring: Ring) -> None:
    work = Work(40, seconds=0.01)
    async with pool_of(redis, work.serve, slots=4) as pool:
        ring.ring(LANE, 100)
        await until(lambda: work.done == 40)
        await until(lambda: pool.free == 4)
    assert 1 < work.most <= 4


async def test_redis_holds_nothing_but_tickets_that_name_a_lane(redis: ArqRedis, ring: Ring) -> None:
    ring.ring(LANE, 3)
    await ring.close()
    assert await redis.keys("*") == [queue_of(LANE).encode()]
    assert await redis.zcard(queue_of(LANE)) == 3


async def test_tickets_do_not_pile_up(redis: ArqRedis, ring: Ring) -> None:
    for _ in range(40):
        ring.ring(LANE, 100)
        await asyncio.sleep(0)
    await ring.close()
    assert await redis.zcard(queue_of(LANE)) <= 500


async def test_slots_start_without_redis(valkey: RunningServer) -> None:
    redis = open_redis("redis://127.0.0.1:1/0")
    work = Work(5)
    pool = LanePool(LANE, 2, work.serve, redis, successor=lambda: None)
    running = asyncio.get_running_loop().create_task(pool.main())
    pool.start_slots(2)
    ring = Ring(redis)
    ring.ring(LANE)
    await until(lambda: work.done == 5)
    await pool.drain(1)
    await asyncio.wait({running}, timeout=5)
    assert running.done()
    await ring.close()
    await redis.aclose()


async def test_a_pool_outlives_a_redis_that_dies_with_everything_in_it(valkey: RunningServer) -> None:
    redis = open_redis(valkey.url)
    ring, work = Ring(redis), Work(0)
    async with pool_of(redis, work.serve) as pool:
        valkey.kill()
        await asyncio.sleep(0.3)
        valkey.start()
        work.left = 10

        def served() -> bool:
            ring.ring(LANE)
            return work.done == 10

        await until(served)
        assert pool.allow_pick_jobs
    await ring.close()
    await redis.aclose()


async def test_a_slot_that_fails_frees_its_place(redis: ArqRedis, ring: Ring) -> None:
    async def serve() -> bool:
        raise RuntimeError("a bug")

    async with pool_of(redis, serve, slots=2) as pool:
        ring.ring(LANE, 5)
        await until(lambda: pool.free == 2)
        await asyncio.sleep(0.1)
        assert pool.free == 2


async def test_drain_waits_for_what_runs_and_then_cancels(redis: ArqRedis) -> None:
    short, long = Work(1, seconds=0.2), Work(1, seconds=60)
    for work, done in ((short, 1), (long, 0)):
        pool = LanePool(LANE, 1, work.serve, redis, successor=lambda: None)
        pool.start_slots(1)
        await until(lambda work=work: work.running == 1)  # type: ignore[misc]
        began = time.monotonic()
        await pool.drain(1)
        assert work.done == done
        assert time.monotonic() - began < 5


async def test_who_waits_for_a_job_is_woken_and_the_others_are_not(redis: ArqRedis, worker: Wake) -> None:
    wake = Wake(redis)
    wake.start(jobs=True)
    await until(lambda: wake.connected)
    mine, other = ids.uuid7(), ids.uuid7()
    with wake.waiting(mine) as mine_moved, wake.waiting(other) as other_moved:
        worker.moved([mine, ids.uuid7()])
        async with asyncio.timeout(5):
            await mine_moved.wait()
        assert not other_moved.is_set()
    await wake.close()
