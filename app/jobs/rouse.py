"""Wakes jobs that are parked for a pool, or a part that is down: in order, and only as many as it can soon take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from app.bell.ring import Ring
from app.domain.clock import Clock
from app.domain.errors import SystemFault
from app.domain.park import ParkedLine, Room
from app.store.database import StoreAway
from app.store.parks import Parks
from app.telemetry.logs import log

_log = log("jobs")


class Doorkeeper(Protocol):
    """Who knows of the lines of all pools, and of breakers that are closing."""

    async def room(self, pool: str, parked: Sequence[ParkedLine], within_s: float) -> Room:
        """What is free of all that goes within so many seconds; told who waits outside. Raises SystemFault."""
        ...


class Rouse:
    """The loop that every worker runs; of those that look at once, one acts. `within_s`: how far ahead it looks."""

    def __init__(
        self, parks: Parks, pools: Doorkeeper, ring: Ring, clock: Clock, within_s: float, every_s: float
    ) -> None:
        self._parks = parks
        self._pools = pools
        self._ring = ring
        self._clock = clock
        self._within_s = within_s
        self._every_s = every_s

    async def run(self) -> None:
        """Look until canceled; what is away is waited for."""
        while True:
            try:
                await self.once()
            except StoreAway as error:
                _log.warning("parked jobs wait on", error=str(error))
            await self._clock.sleep(self._every_s)

    async def once(self) -> None:
        """Wake whose turn it is; a pool that can't be asked holds up no other. Raises StoreAway."""
        for pool in await self._parks.pools():
            try:
                await self._wake(pool)
            except SystemFault as fault:
                _log.warning("parked jobs wait on", what=pool, error=fault.detail)

    async def _wake(self, pool: str) -> None:
        parked = await self._parks.lines(pool)
        room = await self._pools.room(pool, parked, self._within_s)
        if not any(one.asleep for one in parked) or not any(room.free.values()):
            return
        for lane, count in Counter(await self._parks.wake(pool, room)).items():
            self._ring.ring(lane, count)
