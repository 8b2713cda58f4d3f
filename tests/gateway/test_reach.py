"""Redis that is away, and Redis that is there and stumbles: each part waits for the first and fails at the second."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from app.domain.clock import SYSTEM_CLOCK
from app.domain.errors import SystemFault
from app.gateway.breakers.breaker import Breakers
from app.gateway.breakers.dependency import Dependency, Pass
from app.gateway.budgets.till import Till
from app.gateway.caches.cache import ExactCache, Key
from app.gateway.calls.keeping import Keeping
from app.gateway.pools.ending import Ending
from app.gateway.redis.reach import Reach, RedisAway
from app.gateway.redis.scripts import Call, run_all, script
from app.settings import CacheSettings
from tests.conformance.client_suite import until
from tests.gateway.admitting import GOOD, admit, wide
from tests.gateway.conftest import NewLimiter, open_redis
from tests.supervise.embedded import RunningServer

ECHO, WRITE = script("return ARGV[1]"), script("return redis.call('SET', KEYS[1], ARGV[1])")
STUMBLES = script("return nothing.at_all")
CRM = Dependency(UUID(int=1), False, "crm")


async def test_a_script_that_was_lost_is_sent_again(redis: Redis) -> None:
    await redis.script_flush()
    assert await ECHO.run(redis, [], ["one"]) == b"one"
    await redis.script_flush()
    assert await run_all(redis, [Call(ECHO, [], [text]) for text in ("one", "two")]) == [b"one", b"two"]


async def test_away_from_a_failure_until_a_write_goes_through(own_valkey: RunningServer, prefix: str) -> None:
    returns = 0

    def back() -> None:
        nonlocal returns
        returns += 1

    async with open_redis(own_valkey.url) as client:
        reach = Reach(client, SYSTEM_CLOCK, "test", prefix)
        reach.on_return = back
        own_valkey.kill()
        with capture_logs() as logs:
            for _ in range(2):
                with pytest.raises(RedisAway):
                    await reach.ask(lambda redis: ECHO.run(redis, [], ["x"]))
            assert reach.away
            own_valkey.start()
            await until(lambda: not reach.away)
        assert returns == 1
        assert [(line["event"], line["what"]) for line in logs] == [("redis away", "test"), ("redis back", "test")]
        assert await reach.ask(lambda redis: ECHO.run(redis, [], ["x"])) == b"x"
        await reach.close()


@pytest.mark.parametrize("how", ["read-only", "out of memory", "behind its master"])
async def test_a_server_that_cannot_now_is_away(own_valkey: RunningServer, prefix: str, how: str) -> None:
    async with open_redis(own_valkey.url) as client:
        reach = Reach(client, SYSTEM_CLOCK, "test", prefix)
        if how == "out of memory":
            await client.config_set("maxmemory", "1")
        else:
            await client.replicaof("127.0.0.1", "1")
        if how == "behind its master":
            await client.config_set("replica-serve-stale-data", "no")
        with pytest.raises(RedisAway):
            await reach.ask(lambda redis: WRITE.run(redis, [f"{prefix}x"], ["y"]))
        assert reach.away
        await reach.close()


async def test_a_script_that_stumbles_is_a_fault_and_no_absence(redis: Redis, prefix: str) -> None:
    reach = Reach(redis, SYSTEM_CLOCK, "test", prefix)
    with capture_logs() as logs, pytest.raises(SystemFault):
        await reach.ask(lambda redis: STUMBLES.run(redis, [], []))
    assert not reach.away
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("redis refused", "error")
    assert "nothing" in line["reason"]


async def test_a_limiter_that_stumbles_sends_its_callers_away_and_goes_on(
    new_limiter: NewLimiter, redis: Redis, prefix: str
) -> None:
    limiter, state = new_limiter(), f"{prefix}{{main/mini}}:state"
    await redis.rpush(state, "of another type")  # type: ignore[misc]
    found = await asyncio.gather(*(admit(limiter, wide(8)) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [SystemFault] * 3
    assert not limiter.away
    await redis.delete(state)
    limiter.settle(await admit(limiter, wide(8)), GOOD)


async def test_a_breaker_that_stumbles_stops_a_call_before_it_is_made(redis: Redis, prefix: str) -> None:
    breakers = Breakers(redis, prefix=prefix)
    await redis.rpush(f"{prefix}{CRM.key}", "of another type")  # type: ignore[misc]
    with pytest.raises(SystemFault):
        await breakers.ask(CRM)
    assert not await breakers.tell(CRM, Pass(False, "0"), Ending.OK)


async def test_a_cache_that_stumbles_knows_nothing(redis: Redis, prefix: str) -> None:
    cache, key = ExactCache(redis, CacheSettings(), "s", SYSTEM_CLOCK, f"{prefix}{{cache}}:"), Key(uuid4(), b"1" * 32)
    await redis.set(f"{prefix}{{cache}}:heads", "of another type")
    assert await cache.look([key]) == [None]
    async with cache.enter(key, Keeping(60.0), 5.0) as place:
        assert place.entry is None
        await place.keep(b"made")
    await redis.delete(f"{prefix}{{cache}}:heads")
    async with cache.enter(key, Keeping(60.0), 5.0) as place:
        await place.keep(b"made")
    assert [entry and entry.body for entry in await cache.look([key])] == [b"made"]
    await cache.close()


async def test_a_till_that_stumbles_answers_everybody(redis: Redis, prefix: str) -> None:
    till = Till(redis, SYSTEM_CLOCK, f"{{{prefix}}}:")
    asked = await asyncio.gather(*(till.ask({"act": "no such act"}) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in asked] == [SystemFault] * 3
    assert not till.away
    assert await till.ask({"act": "counters"}) == []
    await till.close()
