"""Where lengths of answers outlast a process: the last of each route, in Redis, written beside the calls."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import orjson
from redis.asyncio import Redis

from app.domain.errors import SystemFault
from app.gateway.lengths import Lengths
from app.gateway.redis.reach import RedisAway, bounded

KEY = "laneway:lengths"
# Enough for a 95th percentile, and about 250 bytes a route.
_KEPT = 50
_KEPT_S = 30 * 86400
_EVERY_S = 5.0


class LengthShelf:
    """Of all processes; who wrote last is believed."""

    def __init__(self, redis: Redis, lengths: Lengths, key: str = KEY) -> None:
        self._redis = redis
        self._lengths = lengths
        self._key = key

    async def load(self) -> None:
        """Take what is known; nothing while Redis is away."""
        with suppress(RedisAway, SystemFault):
            found: dict[bytes, bytes] = await bounded(self._redis.hgetall(self._key))  # type: ignore[arg-type]
            for route, tokens in found.items():
                self._lengths.remember(tuple(orjson.loads(route)), orjson.loads(tokens))

    async def keep(self) -> None:
        """Write what was learned since the last time. What Redis misses is written when its route learns again."""
        if changed := self._lengths.changed(_KEPT):
            told = {orjson.dumps(route): orjson.dumps(tokens) for route, tokens in changed.items()}
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hset(self._key, mapping=told)
                pipe.expire(self._key, _KEPT_S)
                await bounded(pipe.execute())

    async def run(self) -> None:
        """Keep them until canceled, and once more then."""
        try:
            while True:
                await asyncio.sleep(_EVERY_S)
                with suppress(RedisAway, SystemFault):
                    await self.keep()
        finally:
            with suppress(RedisAway, SystemFault):
                await self.keep()
