"""What operators see of the pools and move: read from, and written to, what all workers share in Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from redis.asyncio import Redis

from app.gateway.pool_scripts import LOOK, PREFIX, STEER, names_key, pool_keys, rings
from app.gateway.reach import bounded


class Levers:
    """The pools of all workers."""

    def __init__(self, redis: Redis, prefix: str = PREFIX) -> None:
        self._redis = redis
        self._prefix = prefix

    async def names(self) -> list[str]:
        """Every pool that was ever used here. Raises RedisAway."""
        names: set[bytes] = await bounded(self._redis.smembers(names_key(self._prefix)))  # type: ignore[arg-type]
        return sorted(name.decode() for name in names)

    async def look(self, name: str) -> dict[str, Any] | None:
        """What the rate controller knows of the pool; None where nobody has used it. Raises RedisAway."""
        found = await bounded(LOOK.run(self._redis, pool_keys(self._prefix, name), []))
        look: dict[str, Any] | None = orjson.loads(found) if found else None
        return look

    async def steer(self, name: str, act: str, value: float | str | Mapping[str, int] | None = None) -> None:
        """Move a lever: `pause` (for seconds, or until resumed), `resume`, `drain`, `announce` (limits), `breaker`
        (open, closed, auto), `forget` (what was learned). Raises RedisAway.
        """
        told = b"" if value is None else orjson.dumps(value)
        await bounded(STEER.run(self._redis, pool_keys(self._prefix, name), [act, told, rings(self._prefix)]))
