"""Who knows how many of those that are parked may come: of pools the limiter, of parts that steps name the breakers."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.park import ParkedLine, Room
from app.gateway.breakers.breaker import Breakers
from app.gateway.breakers.dependency import is_park
from app.gateway.pools.limiter import Limiter


class Doorkeeper:
    """Of all that jobs are parked for."""

    def __init__(self, limiter: Limiter, breakers: Breakers) -> None:
        self._limiter = limiter
        self._breakers = breakers

    async def room(self, name: str, parked: Sequence[ParkedLine], within_s: float) -> Room:
        """What is free for them of all that goes within so many seconds. Raises SystemFault."""
        if is_park(name):
            return await self._breakers.room(name, parked)
        return await self._limiter.room(name, parked, within_s)
