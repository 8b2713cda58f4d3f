"""What operators see of the pools and move: read from, and written to, what all workers share in Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.domain.errors import LanewayError
from app.gateway.scripts import LOOK, PREFIX, STEER, names_key, rings

_AWAY = (RedisError, OSError, TimeoutError)


class PoolsAway(LanewayError):
    """Redis can't be reached: nobody knows of the pools, and none was changed."""


class Levers:
    """The pools of all workers."""

    def __init__(self, redis: Redis, prefix: str = PREFIX) -> None:
        self._redis = redis
        self._prefix = prefix

    async def names(self) -> list[str]:
        """Every pool that was ever used here. Raises PoolsAway."""
        try:
            return sorted(name.decode() for name in await self._redis.smembers(names_key(self._prefix)))  # type: ignore[misc]
        except _AWAY as error:
            raise PoolsAway(type(error).__name__) from error

    async def look(self, name: str) -> dict[str, Any] | None:
        """What the rate controller knows of the pool; None where nobody has used it. Raises PoolsAway."""
        try:
            found = await LOOK.run(self._redis, self._prefix, name, [])
        except _AWAY as error:
            raise PoolsAway(type(error).__name__) from error
        look: dict[str, Any] | None = orjson.loads(found) if found else None
        return look

    async def steer(self, name: str, act: str, value: float | str | Mapping[str, int] | None = None) -> None:
        """Move a lever: `pause` (for seconds, or until resumed), `resume`, `drain`, `announce` (limits), `breaker`
        (open, closed, auto). Raises PoolsAway.
        """
        told = b"" if value is None else orjson.dumps(value)
        try:
            await STEER.run(self._redis, self._prefix, name, [act, told, rings(self._prefix)])
        except _AWAY as error:
            raise PoolsAway(type(error).__name__) from error
