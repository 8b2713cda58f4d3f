"""What a pool leaves in Redis: it vanishes a day after the last use of the pool, and not while somebody uses it."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from app.gateway.pools.line import _BEAT_S
from tests.gateway.admitting import admit, wide
from tests.gateway.conftest import NewLimiter
from tests.gateway.pool_state import waiting

_DAY_S = 86400


async def lifetimes(redis: Redis, prefix: str) -> dict[str, int]:
    """Seconds that each key of the pool has to live."""
    return {key.decode(): await redis.ttl(key) async for key in redis.scan_iter(match=f"{prefix}{{*", count=1000)}


async def test_every_key_of_a_pool_expires_and_is_renewed_by_who_uses_it(
    new_limiter: NewLimiter, redis: Redis, prefix: str
) -> None:
    limiter, pool = new_limiter(), wide(1)
    await admit(limiter, pool)
    others = [asyncio.create_task(admit(limiter, pool, lane, 60, project=lane)) for lane in ("interactive", "standard")]
    async with asyncio.timeout(10):
        while await waiting(redis, prefix) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    found = await lifetimes(redis, prefix)
    assert len(found) == 4, "state, leases and two lines"
    assert all(0 < left <= 30 * _DAY_S for left in found.values()), found
    for key in found:
        await redis.expire(key, 30)
    async with asyncio.timeout(20 * _BEAT_S):
        while min((await lifetimes(redis, prefix)).values()) <= 30:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
