"""The limiter: a cap on calls in flight for each pool, shared by all workers, and one pause for all after a 429."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from app.domain.clock import SYSTEM_CLOCK, Clock
from app.gateway.desk import ROUND_TRIP_S, Desk
from app.gateway.line import Line
from app.gateway.pool import Permit, Pool

PREFIX = "laneway:pool:"


class Limiter:
    """Leases in Redis; without Redis each process keeps to a quarter of each cap, and comes back by itself.

    A holder that dies loses its lease when that expires. Place of the later rate controller.
    """

    def __init__(self, redis: Redis, clock: Clock = SYSTEM_CLOCK, prefix: str = PREFIX) -> None:
        self._clock = clock
        self._desk = Desk(redis, clock, prefix)
        self._desk.on_return = self._wake
        self._lines: dict[str, Line] = {}

    @property
    def away(self) -> bool:
        """Whether Redis is away, so that caps are kept by each process alone."""
        return self._desk.away

    async def admit(self, pool: Pool, lane: str, *, lease_s: float, max_wait_s: float) -> Permit:
        """A permit for one call that ends within `lease_s`. The caller settles it in every case.

        Raises MustWait when the pool rests or stays full for longer than `max_wait_s`.
        """
        line = self._lines.get(pool.name)
        if line is None:
            line = self._lines[pool.name] = Line(pool, self._desk, self._clock)
        return await line.admit(lane, lease_s, max_wait_s)

    def settle(self, permit: Permit, pause_s: float | None = None) -> None:
        """End a call: its slot is free; `pause_s` makes the pool rest for everyone. Never waits, never fails."""
        self._lines[permit.pool.name].settle(permit, pause_s)

    async def close(self) -> None:
        """Give back what is still to be given back; bounded, and quiet when Redis is away."""
        await asyncio.gather(*(line.close(2 * ROUND_TRIP_S) for line in self._lines.values()))
        await self._desk.close()

    def _wake(self) -> None:
        for line in self._lines.values():
            line.wake()
