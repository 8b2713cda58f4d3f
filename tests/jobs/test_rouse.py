"""The loop that wakes parked jobs, over a real PostgreSQL and a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from arq.connections import ArqRedis

from app.bell.redis import open_redis
from app.bell.ring import Ring
from app.domain.clock import SYSTEM_CLOCK
from app.gateway.breakers.breaker import Breakers
from app.gateway.doorkeeper import Doorkeeper
from app.gateway.pools.limiter import Limiter
from app.gateway.pools.scripts import PREFIX, pool_keys
from app.jobs.rouse import Rouse
from tests.store.parked import POOL, Parked
from tests.store.parts import Store
from tests.supervise.embedded import running_valkey


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Of a Redis."""
    with running_valkey() as server:
        yield server.url


@pytest.fixture
async def redis(url: str) -> AsyncIterator[ArqRedis]:
    client = open_redis(url)
    yield client
    await client.aclose()


@pytest.fixture
async def rouse(store: Store, redis: ArqRedis) -> AsyncIterator[Rouse]:
    """As a worker has it."""
    limiter, breakers, ring = Limiter(redis), Breakers(redis), Ring(redis)
    yield Rouse(Parked(store).parks, Doorkeeper(limiter, breakers), ring, SYSTEM_CLOCK, within_s=10.0, every_s=1.0)
    await ring.close()
    await limiter.close()
    await breakers.close()


async def test_a_pool_that_cannot_be_asked_holds_up_no_other(rouse: Rouse, redis: ArqRedis, store: Store) -> None:
    parked = Parked(store)
    await parked.park("bulk", 2, pool="a/first")
    await parked.park("bulk", 2)
    state, *_ = pool_keys(PREFIX, "a/first")
    await redis.lpush(state, "what no script reads")  # type: ignore[misc]
    await rouse.once()
    asleep = {pool: sum(line.asleep for line in await parked.parks.lines(pool)) for pool in await parked.parks.pools()}
    assert asleep == {"a/first": 2, POOL: 0}
    await redis.delete(state)
    await rouse.once()
    assert not any(line.asleep for line in await parked.parks.lines("a/first"))
