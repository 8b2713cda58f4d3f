"""The limiter while Redis is dead, frozen, read-only or emptied, and after."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from app.clients.base import LimitHints
from app.domain.clock import SystemClock
from app.domain.errors import MustWait
from app.gateway.pools.desk import Standing
from app.gateway.pools.limiter import Limiter
from app.gateway.pools.pool import CallResult, Permit, Pool
from app.gateway.pools.scripts import LOOK, pool_keys
from app.store.levers import Lever
from tests.conformance.client_suite import until
from tests.gateway.admitting import GOOD, leases, wide
from tests.gateway.admitting import admit as asking
from tests.gateway.conftest import NewLimiter, open_redis
from tests.gateway.pool_state import move_clock
from tests.supervise.embedded import RunningServer

_POOL = wide(8)
# A worker's part of eight slots that it had for itself: 85 %, and a tenth more for what comes in waves.
_PART = 7


async def admit(limiter: Limiter, max_wait_s: float = 0.3) -> Permit:
    return await asking(limiter, _POOL, max_wait_s=max_wait_s)


async def admitted(limiter: Limiter, wanted: int, max_wait_s: float = 0.3) -> list[Permit]:
    """As many permits as are to be had, up to `wanted`."""
    results = await asyncio.gather(*(admit(limiter, max_wait_s) for _ in range(wanted)), return_exceptions=True)
    assert all(isinstance(result, Permit | MustWait) for result in results)
    return [result for result in results if isinstance(result, Permit)]


async def leases_in(server: RunningServer, prefix: str) -> int:
    async with open_redis(server.url) as redis:
        return await leases(redis, prefix)


async def nothing_held(redis: Redis, prefix: str) -> None:
    while True:
        if not await leases(redis, prefix):
            return
        await asyncio.sleep(0.02)


async def test_its_part_of_what_was_known_and_the_whole_again(
    new_limiter: NewLimiter, own_valkey: RunningServer, prefix: str
) -> None:
    limiter = new_limiter(own_valkey)
    before = await admitted(limiter, 1)
    own_valkey.kill()
    with capture_logs() as logs:
        apart = await admitted(limiter, 10)
        assert limiter.away
        assert len(before + apart) == _PART
        own_valkey.start()
        await until(lambda: not limiter.away)
    # The new, empty server hears first what is in flight, then lets go what fits beside: one more.
    assert len(await admitted(limiter, 10, max_wait_s=3.0)) == 8 - _PART
    assert await leases_in(own_valkey, prefix) == 8
    for permit in before + apart:
        limiter.settle(permit, GOOD)
    assert len(await admitted(limiter, 10)) == _PART
    assert [line["event"] for line in logs] == ["redis away", "redis back"]


async def test_a_quarter_of_the_cap_where_nothing_was_ever_heard(
    new_limiter: NewLimiter, own_valkey: RunningServer
) -> None:
    limiter = new_limiter(own_valkey)
    own_valkey.kill()
    assert len(await admitted(limiter, 10)) == 2
    own_valkey.start()


async def test_two_workers_share_what_was_known(new_limiter: NewLimiter, own_valkey: RunningServer) -> None:
    mine, other = new_limiter(own_valkey), new_limiter(own_valkey)
    for limiter in (mine, other, mine):
        limiter.settle((await admitted(limiter, 1))[0], GOOD)
        await asyncio.sleep(1.1)
    limiter.settle((await admitted(other, 1))[0], GOOD)
    own_valkey.kill()
    assert len(await admitted(mine, 10)) <= 4
    own_valkey.start()


async def test_slots_given_back_meanwhile_are_free_after(
    new_limiter: NewLimiter, own_valkey: RunningServer, prefix: str
) -> None:
    limiter = new_limiter(own_valkey)
    permits = await admitted(limiter, 8)
    os.kill(own_valkey.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(MustWait):
            await admit(limiter)
        assert time.monotonic() - started < 4.0
        assert limiter.away
        for permit in permits:
            limiter.settle(permit, GOOD)
        apart = await admitted(limiter, 8)
        assert len(apart) == _PART
    finally:
        os.kill(own_valkey.pid, signal.SIGCONT)
    await until(lambda: not limiter.away)
    assert len(await admitted(limiter, 10)) == 8 - _PART
    assert await leases_in(own_valkey, prefix) == 8


async def test_apart_a_429_makes_it_rest(new_limiter: NewLimiter, own_valkey: RunningServer) -> None:
    limiter = new_limiter(own_valkey)
    first, second = await admitted(limiter, 2)
    own_valkey.kill()
    limiter.settle(first, CallResult(500, 0.01))
    await until(lambda: limiter.away)
    await admitted(limiter, 1)
    limiter.settle(second, CallResult(429, 0.01, retry_after_s=30.0))
    with pytest.raises(MustWait) as caught:
        await admit(limiter)
    assert 100 < (caught.value.until - datetime.now(UTC)).total_seconds() < 130
    own_valkey.start()


async def test_apart_it_keeps_to_its_part_of_an_announced_rate(
    new_limiter: NewLimiter, own_valkey: RunningServer
) -> None:
    limiter, pool = new_limiter(own_valkey), Pool("main/mini", 100, requests_per_minute=600)
    limiter.settle(await asking(limiter, pool), GOOD)
    own_valkey.kill()
    started = time.monotonic()
    for _ in range(20):
        limiter.settle(await asking(limiter, pool, max_wait_s=20), GOOD)
    # 8.5 a second, and nothing in the bucket at first.
    assert limiter.away
    assert time.monotonic() - started > 1.6
    own_valkey.start()


async def test_apart_a_start_goes_on_until_a_limit_is_met(new_limiter: NewLimiter, own_valkey: RunningServer) -> None:
    """Two calls a second is where every pool starts, not what it may have for as long as Redis is away."""
    limiter, pool = new_limiter(own_valkey), Pool("main/mini", 100)
    limiter.settle(await asking(limiter, pool), GOOD)
    own_valkey.kill()
    started = time.monotonic()
    for _ in range(25):
        limiter.settle(await asking(limiter, pool, max_wait_s=20), GOOD)
    # 15 s at 1.7 a second.
    assert limiter.away
    assert time.monotonic() - started < 12
    met = await asking(limiter, pool, max_wait_s=20)
    limiter.settle(met, CallResult(429, 0.01))
    refused = time.monotonic()
    for _ in range(5):
        limiter.settle(await asking(limiter, pool, max_wait_s=20), GOOD)
    assert time.monotonic() - refused > 1.5
    own_valkey.start()


async def test_results_told_late_are_learned(new_limiter: NewLimiter, own_valkey: RunningServer, prefix: str) -> None:
    limiter = new_limiter(own_valkey)
    permits = await admitted(limiter, 4)
    os.kill(own_valkey.pid, signal.SIGSTOP)
    try:
        for permit in permits:
            limiter.settle(permit, CallResult(429, 0.01, hints=LimitHints(label="req")))
        await until(lambda: limiter.away)
    finally:
        os.kill(own_valkey.pid, signal.SIGCONT)
    await until(lambda: not limiter.away)
    async with open_redis(own_valkey.url) as redis:
        async with asyncio.timeout(10):
            await nothing_held(redis, prefix)
        look = orjson.loads(await LOOK.run(redis, pool_keys(prefix, "main/mini"), []))
    (limit,) = look["limits"]
    assert limit["dimension"] == "requests"
    assert limit["per_minute"] < 60_000_000


async def announced(name: str) -> list[Lever]:
    """What an operator said of every pool."""
    return [Lever("announce", {"max_in_flight": 8})]


@pytest.mark.parametrize("standing", [None, announced])
async def test_a_redis_that_is_emptied_in_mid_run(
    new_limiter: NewLimiter, redis: Redis, prefix: str, standing: Standing | None
) -> None:
    limiters = [new_limiter(standing=standing), new_limiter(standing=standing)]
    held = [await admit(limiters[n % 2]) for n in range(8)]
    waiting = [asyncio.create_task(admit(limiters[n % 2], 30.0)) for n in range(10)]
    await asyncio.sleep(0.2)
    for key in [key async for key in redis.scan_iter(match=f"{prefix}*")]:
        await redis.delete(key)
    await redis.script_flush()
    # Calls in flight are known again, so none of those in line is let go before one of them ends.
    await asyncio.sleep(2.5)
    assert await leases(redis, prefix) == 8
    assert not any(task.done() for task in waiting)
    for n, permit in enumerate(held):
        limiters[n % 2].settle(permit, GOOD)
    done, pending = await asyncio.wait(waiting, timeout=5)
    assert len(done) == 8
    for n, task in enumerate(waiting):
        if task in done:
            limiters[n % 2].settle(task.result(), GOOD)
    await asyncio.wait(pending, timeout=5)
    assert all(task.done() for task in waiting)


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
async def test_a_clock_of_the_server_that_jumps(
    new_limiter: NewLimiter, redis: Redis, prefix: str, seconds: float
) -> None:
    limiter = new_limiter()
    held = await admitted(limiter, 8)
    assert len(held) == 8
    waiting = [asyncio.create_task(admit(limiter, 30.0)) for _ in range(4)]
    await asyncio.sleep(0.2)
    await move_clock(redis, prefix, seconds)
    await asyncio.sleep(2.5)
    assert await leases(redis, prefix) == 8
    for permit in held[:4]:
        limiter.settle(permit, GOOD)
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)
    assert await leases(redis, prefix) == 8


async def test_a_clock_of_a_worker_that_jumps(
    new_limiter: NewLimiter, shared_valkey: RunningServer, prefix: str
) -> None:
    class Odd(SystemClock):
        """An hour late."""

        def now(self) -> datetime:
            return super().now() - timedelta(hours=1)

        def monotonic(self) -> float:
            return super().monotonic() - 3600

    async with open_redis(shared_valkey.url) as client:
        odd, other = Limiter(client, Odd(), prefix), new_limiter()
        first = await admitted(odd, 8)
        mine = asyncio.create_task(admit(odd, 10.0))
        await asyncio.sleep(0.1)
        theirs = asyncio.create_task(admit(other, 10.0))
        await asyncio.sleep(0.1)
        odd.settle(first[0], GOOD)
        await asyncio.wait([mine, theirs], timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert mine.done() and not theirs.done()
        odd.settle(first[1], GOOD)
        await theirs
        await odd.close()


async def test_waiters_are_served_when_it_comes_back(new_limiter: NewLimiter, own_valkey: RunningServer) -> None:
    limiter = new_limiter(own_valkey)
    own_valkey.kill()
    apart = await admitted(limiter, 2)
    waiting = [asyncio.create_task(admit(limiter, max_wait_s=20)) for _ in range(6)]
    own_valkey.start()
    await asyncio.gather(*waiting)
    assert len(apart) == 2


async def test_a_redis_that_is_read_only_is_away(new_limiter: NewLimiter, own_valkey: RunningServer) -> None:
    limiter = new_limiter(own_valkey)
    async with open_redis(own_valkey.url) as redis:
        await redis.replicaof("127.0.0.1", "1")
        with capture_logs() as logs:
            assert len(await admitted(limiter, 10)) == 2
            await asyncio.sleep(0.5)
            assert limiter.away
        assert [line["event"] for line in logs] == ["redis away"]
        await redis.replicaof("NO", "ONE")
        await until(lambda: not limiter.away)


async def test_a_redis_without_memory_keeps_the_cap(new_limiter: NewLimiter, own_valkey: RunningServer) -> None:
    limiter = new_limiter(own_valkey)
    async with open_redis(own_valkey.url) as redis:
        await redis.config_set("maxmemory", "1")
        permits = await admitted(limiter, 10)
        assert len(permits) in (2, _PART, 8)
        for permit in permits:
            limiter.settle(permit, GOOD)
        await redis.config_set("maxmemory", "0")
    await until(lambda: not limiter.away)
    # It hears first what is in flight.
    assert len(await admitted(limiter, 10, max_wait_s=3.0)) == 8


async def test_closing_while_it_is_away_is_quick(own_valkey: RunningServer, prefix: str) -> None:
    async with open_redis(own_valkey.url) as redis:
        limiter = Limiter(redis, prefix=prefix)
        permits = await admitted(limiter, 4)
        own_valkey.kill()
        for permit in permits:
            limiter.settle(permit, GOOD)
        started = time.monotonic()
        await limiter.close()
        assert time.monotonic() - started < 5
    own_valkey.start()
