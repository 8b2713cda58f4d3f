"""Asking a limiter in tests: short words for what its callers pass."""

from __future__ import annotations

from redis.asyncio import Redis

from app.gateway.pools.limiter import Limiter
from app.gateway.pools.pool import CallResult, Permit, Pool

GOOD = CallResult(200, 0.01, used=20)


def wide(max_in_flight: int, name: str = "main/mini") -> Pool:
    """A pool whose requests are announced to be unlimited for what a test can do: no slow start."""
    return Pool(name, max_in_flight, requests_per_minute=60_000_000, at_once=max_in_flight)


async def admit(
    limiter: Limiter,
    pool: Pool,
    lane: str = "standard",
    max_wait_s: float = 5.0,
    *,
    lease_s: float = 30.0,
    project: str = "p1",
    tokens: int = 10,
    rest_s: float = 0.0,
    again: bool = False,
    waited_s: float = 0.0,
    job: str = "",
) -> Permit:
    """A permit for a small call."""
    return await limiter.admit(
        pool,
        lane,
        lease_s=lease_s,
        max_wait_s=max_wait_s,
        project=project,
        input_tokens=tokens,
        output_tokens=tokens,
        rest_s=rest_s,
        again=again,
        waited_s=waited_s,
        job=job,
    )


async def leases(redis: Redis, prefix: str, name: str = "main/mini") -> int:
    """How many leases Redis holds for the pool."""
    return int(await redis.zcard(f"{prefix}{{{name}}}:leases"))
