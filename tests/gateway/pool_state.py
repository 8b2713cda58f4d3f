"""What Redis holds of a pool, for tests: looks at it and moves its times."""

from __future__ import annotations

from redis.asyncio import Redis

_NAME = "main/mini"
_AGE = """
local pool = cmsgpack.unpack(redis.call('GET', KEYS[1]))
for name, heard in pairs(pool.processes) do pool.processes[name] = heard - tonumber(ARGV[1]) end
redis.call('SET', KEYS[1], cmsgpack.pack(pool))
"""
# The clock stood elsewhere when the state was written, but the pool's own time was the same.
_MOVE = """
local pool = cmsgpack.unpack(redis.call('GET', KEYS[1]))
pool.read, pool.ahead = pool.read - tonumber(ARGV[1]), pool.ahead + tonumber(ARGV[1])
redis.call('SET', KEYS[1], cmsgpack.pack(pool))
"""

_HASTEN = """
local pool = cmsgpack.unpack(redis.call('GET', KEYS[1]))
pool.core.shut.next = 0
redis.call('SET', KEYS[1], cmsgpack.pack(pool))
"""
_STARVE = """
local pool = cmsgpack.unpack(redis.call('GET', KEYS[1]))
pool.core.bulk_waits.since = pool.core.bulk_waits.since - tonumber(ARGV[1])
redis.call('SET', KEYS[1], cmsgpack.pack(pool))
"""


async def waiting(redis: Redis, prefix: str, name: str = _NAME) -> int:
    """How many stand in the pool's line."""
    lines = [key async for key in redis.scan_iter(match=f"{prefix}{{{name}}}:line:*", count=1000)]
    return sum([int(await redis.zcard(key)) for key in lines])


async def age_processes(redis: Redis, prefix: str, seconds: float, name: str = _NAME) -> None:
    """As if no process had been heard of for so much longer."""
    await redis.eval(_AGE, 1, f"{prefix}{{{name}}}:state", str(seconds))  # type: ignore[misc]


async def starve(redis: Redis, prefix: str, seconds: float, name: str = _NAME) -> None:
    """As if the lanes behind the first had waited for so much longer."""
    await redis.eval(_STARVE, 1, f"{prefix}{{{name}}}:state", str(seconds))  # type: ignore[misc]


async def move_clock(redis: Redis, prefix: str, seconds: float, name: str = _NAME) -> None:
    """As if the server's clock had been set by so many seconds, forward or back."""
    await redis.eval(_MOVE, 1, f"{prefix}{{{name}}}:state", str(seconds))  # type: ignore[misc]


async def hasten_trial(redis: Redis, prefix: str, name: str = _NAME) -> None:
    """The pool is shut, and its next trial is due now."""
    await redis.eval(_HASTEN, 1, f"{prefix}{{{name}}}:state")  # type: ignore[misc]
