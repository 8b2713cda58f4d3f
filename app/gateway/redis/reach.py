"""A part's way to Redis: every trip is bounded, and from one that failed until a write has gone through it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import DataError, ResponseError

from app.bell.redis import AWAY
from app.domain import ids
from app.domain.clock import Clock
from app.domain.errors import LanewayError, SystemFault
from app.telemetry.logs import log

# Bounds each round trip whatever the Redis client's own timeouts and retries are.
ROUND_TRIP_S = 2.0
_PROBE_S = (0.1, 2.0)
# With these a server says that it can't now. The client has kinds of its own for others of that sort: OOM, READONLY,
# LOADING, NOSCRIPT, NOAUTH, NOPERM.
_NOT_NOW = ("BUSY", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "NOREPLICAS", "TRYAGAIN", "UNKILLABLE")
Given = TypeVar("Given")
_log = log("gateway")


class RedisAway(LanewayError):
    """Redis can't be asked now; whether it took what was sent is not known."""


async def bounded(act: Awaitable[Given], within_s: float = ROUND_TRIP_S) -> Given:
    """What an act upon Redis brings, within so many seconds.

    Raises RedisAway; SystemFault where Redis is there and finds what it was told wrong: waiting would not mend it.
    """
    try:
        async with asyncio.timeout(within_s):
            return await act
    except AWAY as error:
        if not _is_mistake(error):
            raise RedisAway(type(error).__name__) from error
        _log.error("redis refused", error=type(error).__name__, reason=str(error)[:200])
        raise SystemFault("Redis refused what it was told; the log says why") from error


class Reach:
    """Of one part of this process, with its own judgement. `on_return` is called each time Redis is back."""

    def __init__(self, redis: Redis, clock: Clock, part: str, prefix: str, within_s: float = ROUND_TRIP_S) -> None:
        """`part` is its name in the log; it probes with a key under `prefix`."""
        self._redis = redis
        self._clock = clock
        self._part = part
        self._key = f"{prefix}probe"
        self._within_s = within_s
        self._probe: asyncio.Task[None] | None = None
        self.away = False
        self.on_return: Callable[[], None] = lambda: None

    async def ask(self, act: Callable[[Redis], Awaitable[Given]]) -> Given:
        """What the act brings. Raises RedisAway, at once while it is away; SystemFault as `bounded` does."""
        if self.away:
            raise RedisAway(self._part)
        try:
            return await bounded(act(self._redis), self._within_s)
        except RedisAway as error:
            self._leave(str(error))
            raise

    async def close(self) -> None:
        """Stop probing."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)

    def _leave(self, why: str) -> None:
        if self.away:
            return
        self.away = True
        _log.warning("redis away", what=self._part, error=why)
        # It serves many jobs: no log line of it may carry the ids of the one that came first.
        self._probe = asyncio.get_running_loop().create_task(self._come_back(), context=Context())

    async def _come_back(self) -> None:
        """Probe with a write, so that a Redis that is read-only or out of memory still counts as away."""
        wait_s, longest_s = _PROBE_S
        while self.away:
            await self._clock.sleep(ids.jitter(wait_s / 2, wait_s))
            wait_s = min(longest_s, wait_s * 2)
            try:
                await bounded(self._redis.set(self._key, "1", px=1000), self._within_s)
            except (RedisAway, SystemFault):
                continue
            self.away = False
        _log.info("redis back", what=self._part)
        self.on_return()


def _is_mistake(error: BaseException) -> bool:
    """Whether it is not for Redis to mend: a script that stumbles, a key of another type, a wrong argument."""
    if isinstance(error, DataError):
        return True
    return type(error) is ResponseError and str(error).partition(" ")[0] not in _NOT_NOW
