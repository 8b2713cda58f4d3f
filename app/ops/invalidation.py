"""Drops what the caches hold under tags, and notes who did it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.domain.clock import Clock
from app.domain.errors import Problem
from app.gateway.caches.cache import ExactCache
from app.gateway.redis.reach import RedisAway
from app.store.audits import Act, Audits

_ACTION = "cache.invalidate"
_RETRY_S = 2


class Invalidation:
    """The verb."""

    def __init__(self, cache: ExactCache, audits: Audits, clock: Clock) -> None:
        self._cache = cache
        self._audits = audits
        self._clock = clock

    async def drop(self, project_id: UUID, key_id: UUID, tags: Sequence[str]) -> datetime:
        """When it was done. Raises Problem `reduced_capacity` while Redis is away: what it holds would come back."""
        named = tuple(dict.fromkeys(tags))
        try:
            await self._cache.invalidate(project_id, named)
        except RedisAway:
            detail = "The cache is away, and nothing was dropped: send it again."
            raise Problem("reduced_capacity", detail, retry_after_s=_RETRY_S) from None
        await self._audits.write(Act(project_id, key_id, _ACTION, None, 0, tags=named))
        return self._clock.now()
