"""The limiter while Redis is dead, frozen, read-only or emptied, and after."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from structlog.testing import capture_logs

from app.domain.errors import MustWait
from app.gateway.limiter import Limiter
from app.gateway.pool import Permit, Pool
from tests.conformance.client_suite import until
from tests.gateway.conftest import NewLimiter, open_redis
from tests.supervise.embedded import RunningServer

_POOL = Pool("main/mini", 8)


async def admit(limiter: Limiter, max_wait_s: float = 0.1) -> Permit:
    return await limiter.admit(_POOL, "standard", lease_s=30.0, max_wait_s=max_wait_s)


async def admitted(limiter: Limiter, wanted: int) -> list[Permit]:
    """As many permits as are to be had, up to `wanted`."""
    results = await asyncio.gather(*(admit(limiter) for _ in range(wanted)), return_exceptions=True)
    assert all(isinstance(result, Permit | MustWait) for result in results)
    return [result for result in results if isinstance(result, Permit)]


async def leases(server: RunningServer, prefix: str) -> int:
    async with open_redis(server.url) as redis:
        return int(await redis.zcard(f"{prefix}{{main/mini}}:leases"))


async def test_a_quarter_of_the_cap_alone_and_the_whole_again(
    new_limiter: NewLimiter, own_valkey: RunningServer, prefix: str
) -> None:
    limiter = new_limiter(own_valkey)
    before = await admitted(limiter, 1)
    own_valkey.kill()
    with capture_logs() as logs:
        alone = await admitted(limiter, 10)
        assert limiter.away
        assert len(before + alone) == 2
        own_valkey.start()
        await until(lambda: not limiter.away)
    # Both leases are known to the new, empty server: only six more fit.
    assert len(await admitted(limiter, 10)) == 6
    assert await leases(own_valkey, prefix) == 8
    for permit in before + alone:
        limiter.settle(permit)
    assert len(await admitted(limiter, 10)) == 2
    assert [line["event"] for line in logs] == ["limiter_local", "limiter_shared"]


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
        assert time.monotonic() - started < 3.0
        assert limiter.away
        for permit in permits:
            limiter.settle(permit)
        alone = await admitted(limiter, 8)
        assert len(alone) == 2
    finally:
        os.kill(own_valkey.pid, signal.SIGCONT)
    await until(lambda: not limiter.away)
    assert len(await admitted(limiter, 10)) == 6
    assert await leases(own_valkey, prefix) == 8


async def test_a_pause_made_alone_is_told_to_everyone(new_limiter: NewLimiter, own_valkey: RunningServer) -> None:
    limiter, other = new_limiter(own_valkey), new_limiter(own_valkey)
    permit = (await admitted(limiter, 1))[0]
    own_valkey.kill()
    limiter.settle(permit, pause_s=30.0)
    await until(lambda: limiter.away)
    with pytest.raises(MustWait):
        await admit(limiter)
    own_valkey.start()
    await until(lambda: not limiter.away)
    await asyncio.sleep(0.1)
    with pytest.raises(MustWait):
        await admit(other)


async def test_waiters_are_served_when_it_comes_back(new_limiter: NewLimiter, own_valkey: RunningServer) -> None:
    limiter = new_limiter(own_valkey)
    own_valkey.kill()
    alone = await admitted(limiter, 2)
    waiting = [asyncio.create_task(admit(limiter, max_wait_s=20)) for _ in range(6)]
    own_valkey.start()
    await asyncio.gather(*waiting)
    assert len(alone) == 2


async def test_a_redis_that_is_read_only_is_away(new_limiter: NewLimiter, own_valkey: RunningServer) -> None:
    limiter = new_limiter(own_valkey)
    async with open_redis(own_valkey.url) as redis:
        await redis.replicaof("127.0.0.1", "1")
        with capture_logs() as logs:
            assert len(await admitted(limiter, 10)) == 2
            await asyncio.sleep(0.5)
            assert limiter.away
        assert [line["event"] for line in logs] == ["limiter_local"]
        await redis.replicaof("NO", "ONE")
        await until(lambda: not limiter.away)


async def test_a_redis_without_memory_keeps_the_cap(new_limiter: NewLimiter, own_valkey: RunningServer) -> None:
    limiter = new_limiter(own_valkey)
    async with open_redis(own_valkey.url) as redis:
        await redis.config_set("maxmemory", "1")
        permits = await admitted(limiter, 10)
        assert len(permits) in (2, 8)
        for permit in permits:
            limiter.settle(permit)
        await redis.config_set("maxmemory", "0")
    await until(lambda: not limiter.away)
    assert len(await admitted(limiter, 10)) == 8


async def test_closing_while_it_is_away_is_quick(own_valkey: RunningServer, prefix: str) -> None:
    async with open_redis(own_valkey.url) as redis:
        limiter = Limiter(redis, prefix=prefix)
        permits = await admitted(limiter, 4)
        own_valkey.kill()
        for permit in permits:
            limiter.settle(permit)
        started = time.monotonic()
        await limiter.close()
        assert time.monotonic() - started < 5
    own_valkey.start()
