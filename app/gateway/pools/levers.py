"""What operators see of the pools and move: read from, and written to, what all workers share in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from redis.asyncio import Redis

from app.gateway.pools.scripts import LOOK, PREFIX, STEER, names_key, pool_keys, rings
from app.gateway.redis.reach import bounded
from app.store.levers import Lever, Value


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

    async def steer(self, name: str, act: str, value: Value = None) -> None:
        """Move a lever: `pause` (for seconds, or until resumed), `resume`, `drain`, `announce` (limits), `breaker`
        (open, closed, auto), `forget` (what was learned). Raises RedisAway.
        """
        await bounded(_move(self._redis, self._prefix, name, [Lever(act, value)], again=False))

    async def knows(self, name: str) -> bool:
        """Whether Redis has anything of this pool. Raises RedisAway."""
        return await bounded(is_known(self._redis, self._prefix, name))

    async def recall(self, name: str, standing: Sequence[Lever]) -> None:
        """Move them again: the pool is not known any more. Raises RedisAway."""
        await bounded(move_again(self._redis, self._prefix, name, standing))


async def is_known(redis: Redis, prefix: str, name: str) -> bool:
    """Whether Redis has anything of this pool. Raises what the client raises."""
    state, *_ = pool_keys(prefix, name)
    return bool(await redis.exists(state))


async def move_again(redis: Redis, prefix: str, name: str, levers: Sequence[Lever]) -> None:
    """Move them all at once, unless somebody has done so meanwhile. Raises what the client raises."""
    await _move(redis, prefix, name, levers, again=True)


async def _move(redis: Redis, prefix: str, name: str, levers: Sequence[Lever], *, again: bool) -> None:
    acts = [part for lever in levers for part in (lever.act, b"" if lever.value is None else orjson.dumps(lever.value))]
    await STEER.run(redis, pool_keys(prefix, name), [rings(prefix), int(again), *acts])
