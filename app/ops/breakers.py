"""Breakers of the parts that steps name, as operators of a project see and force them; who did is noted."""

from __future__ import annotations

import asyncio
from uuid import UUID

from app.domain.errors import Problem, SystemFault
from app.gateway.breakers.breaker import Breakers, Force
from app.gateway.breakers.dependency import BreakerLook, Dependency, parked_for
from app.gateway.redis.reach import RedisAway
from app.store.audits import Act
from app.store.database import StoreAway
from app.store.levers import KeptLevers

_RETRY_S = 2
# The longest that status waits for what they say.
_BRIEF_S = 0.5


class NamedBreakers:
    """The verbs. Projects, and live and test mode, see nothing of each other's."""

    def __init__(self, breakers: Breakers, levers: KeptLevers) -> None:
        self._breakers = breakers
        self._levers = levers

    async def all(self, project_id: UUID, test_mode: bool) -> list[BreakerLook]:
        """Those that steps have asked in the last thirty days, by name.

        Raises Problem `reduced_capacity` while Redis is away, StoreAway.
        """
        try:
            for park in await self._levers.targets(Dependency(project_id, test_mode, "").park):
                await self._breakers.recall(parked_for(park))
            return await self._breakers.all(project_id, test_mode)
        except RedisAway:
            raise _away() from None

    async def brief(self, project_id: UUID, test_mode: bool) -> list[BreakerLook]:
        """The same; none while Redis is away or slow: who asks how all is must not wait for one part."""
        try:
            async with asyncio.timeout(_BRIEF_S):
                return await self.all(project_id, test_mode)
        except (Problem, StoreAway, SystemFault, TimeoutError):
            return []

    async def force(self, dependency: Dependency, key_id: UUID, how: Force) -> BreakerLook:
        """By hand, until `auto`. Raises Problem 404 for one that was never asked, `reduced_capacity`."""
        try:
            await self._breakers.recall(dependency)
            if not await self._breakers.knows(dependency):
                detail = "No step has asked a breaker with this name: GET /v1/breakers lists those that were."
                raise Problem("not_found", detail)
            await self._breakers.force(dependency, how)
            look = await self._breakers.look(dependency)
        except RedisAway:
            raise _away() from None
        act = Act(dependency.project_id, key_id, "breakers.force", None, 0, tags=(dependency.name, how))
        await self._levers.move(dependency.park, "breaker", how, act)
        return look


def _away() -> Problem:
    return Problem("reduced_capacity", "Redis, where the breakers are kept, is away.", retry_after_s=_RETRY_S)
