"""The quota of a client: alone in one process, and over several that share a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK, SystemClock
from app.gateway.redis.reach import Reach, RedisAway
from app.ops.quotas import WINDOW_S, Quotas
from tests.gateway.conftest import open_redis
from tests.supervise.embedded import RunningServer, running_valkey


class HandClock(SystemClock):
    """Time that a test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture(scope="module")
def valkey() -> Iterator[RunningServer]:
    with running_valkey() as server:
        yield server


def nobodys(clock: HandClock, per_minute: int) -> Quotas:
    """One process, that tells nobody."""
    return Quotas(Reach(Redis(), clock, "quotas", "test:"), clock, per_minute, "test:")


def one_of(redis: Redis, per_minute: int, prefix: str) -> Quotas:
    """One of several processes."""
    return Quotas(Reach(redis, SYSTEM_CLOCK, "quotas", prefix), SYSTEM_CLOCK, per_minute, prefix)


@given(per_minute=st.integers(1, 5000), gaps=st.lists(st.floats(0, 5), max_size=300))
def test_never_more_than_the_quota_and_what_came_back(per_minute: int, gaps: list[float]) -> None:
    """And who is refused passes after the time that he is told."""
    clock, client, began, granted = HandClock(), ids.uuid7().hex, 1000.0, 0
    quotas = nobodys(clock, per_minute)
    for gap in gaps:
        clock.at += gap
        standing = quotas.take(client)
        if standing.retry_s is None:
            granted += 1
            assert 0 <= standing.left < per_minute and 0 < standing.whole_s <= WINDOW_S + 1e-6
        else:
            clock.at += standing.retry_s + 1e-6
            assert quotas.take(client).retry_s is None
            granted += 1
        assert granted <= per_minute + (clock.at - began) * per_minute / WINDOW_S + 1e-3


def test_an_even_client_is_never_refused() -> None:
    clock, client = HandClock(), ids.uuid7().hex
    quotas = nobodys(clock, 60)
    for _ in range(500):
        clock.at += 1.0
        assert quotas.take(client).retry_s is None


def test_what_is_left_and_what_comes_back() -> None:
    clock, client = HandClock(), ids.uuid7().hex
    quotas = nobodys(clock, 6)
    assert [quotas.take(client).left for _ in range(6)] == [5, 4, 3, 2, 1, 0]
    refused = quotas.take(client)
    assert (refused.left, refused.retry_s) == (0, pytest.approx(10.0))
    assert (quotas.retry_s(client), quotas.retry_s("another")) == (pytest.approx(10.0), None)
    assert quotas.take(ids.uuid7().hex).retry_s is None, "another's quota is his own"
    quotas.give_back(client)
    assert quotas.take(client).retry_s is None
    clock.at += 10.0
    assert quotas.take(client).retry_s is None


async def test_processes_count_together(valkey: RunningServer) -> None:
    prefix, client = f"test:{uuid4().hex}:", ids.uuid7().hex
    async with open_redis(valkey.url) as redis:
        first, second = (one_of(redis, 100, prefix) for _ in range(2))
        for _ in range(60):
            assert first.take(client).retry_s is None
        await first.tell()
        assert second.take(client).left == 99, "it has not heard of the first one's yet"
        await second.tell()
        assert 35 <= second.take(client).left <= 41
        for _ in range(100):
            second.take(client)
        await second.tell()
        first.take(client)
        await first.tell()
        assert first.take(client).retry_s is not None
        await first.close()
        await second.close()


async def test_without_redis_each_goes_by_what_it_knows_and_tells_it_later(valkey: RunningServer) -> None:
    prefix, client = f"test:{uuid4().hex}:", ids.uuid7().hex
    async with open_redis(valkey.url) as redis:
        apart, other = (one_of(redis, 50, prefix) for _ in range(2))
        valkey.stop()
        assert [apart.take(client).retry_s is None for _ in range(60)].count(True) == 50
        with pytest.raises(RedisAway):
            await apart.tell()
        assert apart.take(client).retry_s is not None
        valkey.start()
        await told(apart)
        other.take(client)
        await told(other)
        assert other.take(client).left < 40
        await apart.close()
        await other.close()


async def told(quotas: Quotas) -> None:
    """Wait until Redis is back and has taken it."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await quotas.tell()
            except RedisAway:
                await asyncio.sleep(0.05)
