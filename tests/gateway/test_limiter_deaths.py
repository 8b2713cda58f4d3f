"""Workers that die, as real processes: what they held and where they waited is free again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app.domain.errors import MustWait
from tests.conformance.client_suite import until
from tests.gateway.admitting import GOOD, admit, leases, wide
from tests.gateway.conftest import NewLimiter
from tests.gateway.pool_state import age_processes, waiting
from tests.supervise.embedded import RunningServer

# Takes so many leases of a pool of one slot, and stays in line with so many callers.
_WORKER = """
import asyncio, sys
from redis.asyncio import Redis
from app.gateway.pools.limiter import Limiter
from tests.gateway.admitting import admit, wide

async def work(url, prefix, lease_s, held, waiting):
    limiter = Limiter(Redis.from_url(url), prefix=prefix)
    for _ in range(int(held)):
        await admit(limiter, wide(1), lease_s=float(lease_s))
    one = lambda: admit(limiter, wide(1), max_wait_s=600, lease_s=float(lease_s))
    tasks = [asyncio.create_task(one()) for _ in range(int(waiting))]
    await asyncio.sleep(0.2)
    print("there", flush=True)
    await asyncio.sleep(60)

asyncio.run(work(*sys.argv[1:]))
"""
_ROOT = Path(__file__).parents[2]


@contextmanager
def worker(
    server: RunningServer, prefix: str, lease_s: float, held: int, waiting: int
) -> Iterator[subprocess.Popen[str]]:
    """One that holds and waits; it is killed at the end if it still lives."""
    arguments = [sys.executable, "-c", _WORKER, server.url, prefix, str(lease_s), str(held), str(waiting)]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, cwd=_ROOT, env={**os.environ, "PYTHONPATH": str(_ROOT)}
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "there\n"
            yield process
        finally:
            process.kill()


async def all_there(redis: Redis, prefix: str, callers: int) -> bool:
    """Whether so many stand in line, within ten seconds."""
    for _ in range(200):
        if await waiting(redis, prefix) == callers:
            return True
        await asyncio.sleep(0.05)
    return False


async def test_a_killed_holder_loses_its_lease(
    new_limiter: NewLimiter, shared_valkey: RunningServer, prefix: str
) -> None:
    limiter = new_limiter()
    with worker(shared_valkey, prefix, 1.5, held=1, waiting=0) as holder:
        holder.kill()
        started = time.monotonic()
        await admit(limiter, wide(1), max_wait_s=10)
    assert time.monotonic() - started < 6.0


async def test_the_long_leases_of_the_dead_are_free_before_they_expire(
    new_limiter: NewLimiter, shared_valkey: RunningServer, redis: Redis, prefix: str
) -> None:
    limiter = new_limiter()
    with worker(shared_valkey, prefix, 600, held=1, waiting=0) as holder:
        holder.kill()
    with pytest.raises(MustWait):
        await admit(limiter, wide(1), max_wait_s=0.1)
    assert await leases(redis, prefix) == 1
    # As if it had been silent for a while.
    await age_processes(redis, prefix, 20.0)
    await admit(limiter, wide(1), max_wait_s=5)
    assert await leases(redis, prefix) == 1


async def test_the_places_of_the_dead_in_line_hold_up_nobody(
    new_limiter: NewLimiter, shared_valkey: RunningServer, redis: Redis, prefix: str
) -> None:
    limiter, pool = new_limiter(), wide(1)
    first = await admit(limiter, pool)
    with worker(shared_valkey, prefix, 600, held=0, waiting=20) as dead:
        assert await all_there(redis, prefix, 20)
        dead.kill()
    mine = asyncio.create_task(admit(limiter, pool, max_wait_s=30))
    await until(lambda: not mine.done())
    await asyncio.sleep(3.2)
    limiter.settle(first, GOOD)
    async with asyncio.timeout(10):
        await mine
    assert await waiting(redis, prefix) == 0
    assert await leases(redis, prefix) == 1


async def test_a_grant_to_one_who_died_meanwhile_comes_back(
    new_limiter: NewLimiter, shared_valkey: RunningServer, redis: Redis, prefix: str
) -> None:
    limiter, pool = new_limiter(), wide(1)
    first = await admit(limiter, pool)
    with worker(shared_valkey, prefix, 2.0, held=0, waiting=1) as dead:
        dead.kill()
    # It is still believed to be there, so the slot is granted to it, for as long as its lease.
    limiter.settle(first, GOOD)
    started = time.monotonic()
    await admit(limiter, pool, max_wait_s=20)
    assert time.monotonic() - started < 8
    assert await leases(redis, prefix) == 1
