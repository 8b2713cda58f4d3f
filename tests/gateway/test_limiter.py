"""The limiter on a real Valkey: caps over processes, order, pauses, leases of the dead."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from app.domain.errors import MustWait, SystemFault
from app.gateway import line
from app.gateway.limiter import Limiter
from app.gateway.pool import Permit, Pool
from tests.gateway.conftest import NewLimiter
from tests.supervise.embedded import RunningServer

_HOLDER = """
import asyncio, sys
from redis.asyncio import Redis
from app.gateway import line
from app.gateway.limiter import Limiter
from app.gateway.pool import Pool

async def hold():
    limiter = Limiter(Redis.from_url(sys.argv[1]), prefix=sys.argv[2])
    await limiter.admit(Pool("main/mini", 1), "bulk", lease_s=1.0, max_wait_s=5)
    print("held", flush=True)
    await asyncio.sleep(60)

asyncio.run(hold())
"""


async def admit(limiter: Limiter, pool: Pool, lane: str = "standard", max_wait_s: float = 5.0) -> Permit:
    return await limiter.admit(pool, lane, lease_s=30.0, max_wait_s=max_wait_s)


async def leases(redis: Redis, prefix: str, pool: Pool) -> int:
    """How many leases Redis holds for the pool."""
    return int(await redis.zcard(f"{prefix}{{{pool.name}}}:leases"))


async def test_no_more_than_the_cap_over_all_processes(new_limiter: NewLimiter) -> None:
    pool, limiters = Pool("main/mini", 3), [new_limiter(), new_limiter()]
    permits = [await admit(limiters[n % 2], pool) for n in range(3)]
    for limiter in limiters:
        with pytest.raises(MustWait) as caught:
            await admit(limiter, pool, max_wait_s=0.05)
        assert caught.value.reason == "rate_limit"
        assert 1 < (caught.value.until - datetime.now(UTC)).total_seconds() < 6
    limiters[0].settle(permits[0])
    assert (await admit(limiters[1], pool)).pool is pool


async def test_pools_do_not_share_a_cap(new_limiter: NewLimiter) -> None:
    limiter = new_limiter()
    for name in ("main/mini", "main/big", "odd}name{"):
        await admit(limiter, Pool(name, 1), max_wait_s=0)


async def test_a_settled_lease_wakes_the_head_at_once(new_limiter: NewLimiter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "_POLL_S", (60.0, 60.0))
    limiter, pool = new_limiter(), Pool("main/mini", 1)
    permit = await admit(limiter, pool)
    waiting = asyncio.create_task(admit(limiter, pool))
    await asyncio.sleep(0.05)
    limiter.settle(permit)
    async with asyncio.timeout(5):
        await waiting


async def test_the_interactive_lane_goes_first_and_each_lane_in_order(new_limiter: NewLimiter) -> None:
    limiter, pool, served = new_limiter(), Pool("main/mini", 1), []
    first = await admit(limiter, pool)

    async def caller(lane: str, name: str) -> None:
        permit = await admit(limiter, pool, lane)
        served.append(name)
        limiter.settle(permit)

    lanes = [("bulk", "b1"), ("bulk", "b2"), ("standard", "s1"), ("interactive", "i1"), ("interactive", "i2")]
    async with asyncio.TaskGroup() as group:
        for lane, name in lanes:
            group.create_task(caller(lane, name))
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        limiter.settle(first)
    assert served == ["i1", "i2", "s1", "b1", "b2"]


async def test_a_pause_is_shared_and_ends(new_limiter: NewLimiter) -> None:
    mine, other, pool = new_limiter(), new_limiter(), Pool("main/mini", 5)
    permit, kept = await admit(mine, pool), await admit(other, pool)
    started = time.monotonic()
    mine.settle(permit, pause_s=1.0)
    with pytest.raises(MustWait):
        await admit(mine, pool, max_wait_s=0.1)
    permit = await admit(other, pool)
    assert time.monotonic() - started > 0.9
    other.settle(kept)


async def test_a_long_pause_sends_everyone_away_with_its_end(new_limiter: NewLimiter) -> None:
    mine, other, pool = new_limiter(), new_limiter(), Pool("main/mini", 1)
    permit = await admit(mine, pool)
    in_line = [asyncio.create_task(admit(limiter, pool)) for limiter in (mine, other) for _ in range(3)]
    await asyncio.sleep(0.05)
    mine.settle(permit, pause_s=60.0)
    for result in await asyncio.gather(*in_line, return_exceptions=True):
        assert isinstance(result, MustWait)
        assert 55 < (result.until - datetime.now(UTC)).total_seconds() <= 60.5


async def test_a_shorter_pause_does_not_end_a_longer_one(new_limiter: NewLimiter) -> None:
    limiter, pool = new_limiter(), Pool("main/mini", 5)
    first, second = await admit(limiter, pool), await admit(limiter, pool)
    limiter.settle(first, pause_s=60.0)
    limiter.settle(second, pause_s=0.05)
    await asyncio.sleep(0.1)
    fresh = new_limiter()
    with pytest.raises(MustWait):
        await admit(fresh, pool)


async def test_a_killed_holder_loses_its_lease(
    new_limiter: NewLimiter, shared_valkey: RunningServer, prefix: str
) -> None:
    limiter, pool = new_limiter(), Pool("main/mini", 1)
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", _HOLDER, shared_valkey.url, prefix], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
        holder.kill()
    with pytest.raises(MustWait):
        await admit(limiter, pool, max_wait_s=0)
    started = time.monotonic()
    await admit(limiter, pool)
    assert time.monotonic() - started < 4.0


async def test_cancellation_frees_the_slot(new_limiter: NewLimiter, redis: Redis, prefix: str) -> None:
    limiter, pool = new_limiter(), Pool("main/mini", 1)
    for ticks in range(12):
        task = asyncio.create_task(admit(limiter, pool))
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        result = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(result, Permit):
            limiter.settle(result)
    await limiter.close()
    assert await leases(redis, prefix, pool) == 0


async def test_closing_sends_the_waiting_away(new_limiter: NewLimiter) -> None:
    limiter, pool = new_limiter(), Pool("main/mini", 1)
    await admit(limiter, pool)
    waiting = asyncio.create_task(admit(limiter, pool, max_wait_s=60))
    await asyncio.sleep(0.05)
    await limiter.close()
    with pytest.raises(SystemFault, match="closed"):
        await waiting


async def test_the_scripts_come_back_after_a_flush(new_limiter: NewLimiter, redis: Redis) -> None:
    limiter, pool = new_limiter(), Pool("main/mini", 2)
    limiter.settle(await admit(limiter, pool))
    await redis.script_flush()
    limiter.settle(await admit(limiter, pool))
    assert not limiter.away


async def test_a_full_pool_is_shared_fairly_by_processes(new_limiter: NewLimiter) -> None:
    pool, limiters = Pool("main/mini", 1), [new_limiter() for _ in range(3)]
    served = [0, 0, 0]
    until = time.monotonic() + 1.5

    async def caller(n: int) -> None:
        while time.monotonic() < until:
            permit = await admit(limiters[n], pool)
            await asyncio.sleep(0.002)
            served[n] += 1
            limiters[n].settle(permit)

    # The first process has ten times the callers of the others.
    await asyncio.gather(*(caller(0) for _ in range(10)), caller(1), caller(2))
    assert min(served) >= max(served) / 4


async def test_a_busy_pool_needs_no_polling(new_limiter: NewLimiter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "_POLL_S", (60.0, 60.0))
    limiter, pool, in_use, most = new_limiter(), Pool("main/mini", 20), 0, 0

    async def caller() -> None:
        nonlocal in_use, most
        for _ in range(5):
            permit = await admit(limiter, pool, max_wait_s=60)
            in_use += 1
            most = max(most, in_use)
            await asyncio.sleep(0.005)
            in_use -= 1
            limiter.settle(permit)

    async with asyncio.timeout(20):
        await asyncio.gather(*(caller() for _ in range(80)))
    assert most == 20
