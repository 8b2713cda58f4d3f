"""The limiter: the rate controller of each pool, shared by all workers through Redis, and what a caller sees of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from redis.asyncio import Redis

from app.domain.clock import SYSTEM_CLOCK, Clock
from app.domain.park import ParkedLine, Room
from app.gateway.pools.bulkhead import Bulkhead
from app.gateway.pools.desk import Desk, Standing
from app.gateway.pools.line import Line
from app.gateway.pools.mail import Mail
from app.gateway.pools.pool import CallResult, Permit, Pool
from app.gateway.pools.room import A_FEW, room_for
from app.gateway.pools.scripts import PREFIX, rings
from app.gateway.pools.waiter import Wanted
from app.gateway.redis.reach import ROUND_TRIP_S

# Where nobody says how many slots there are, none are kept for neighbours.
_MANY = 1_000_000


class Limiter:
    """Leases in Redis, granted to the head of one fair line; without Redis each process keeps to its part of what was
    known, and comes back by itself. A holder that dies loses its lease.
    """

    def __init__(
        self,
        redis: Redis,
        clock: Clock = SYSTEM_CLOCK,
        prefix: str = PREFIX,
        unnamed_wait_s: float = 60.0,
        standing: Standing | None = None,
        slots: Callable[[str], int] = lambda _: _MANY,
    ) -> None:
        """`unnamed_wait_s`: the rest after a 429 that names no time, while Redis is away; `standing` is what operators
        did to a pool, for when Redis has lost it; `slots` are this process's, by lane.
        """
        self._clock = clock
        self._unnamed_wait_s = unnamed_wait_s
        self._desk = Desk(redis, clock, prefix, self._come_back, standing)
        self._mail = Mail(redis, rings(prefix) + self._desk.process, self._on_grant)
        self._lines: dict[str, Line] = {}
        self._bulkhead = Bulkhead(slots, clock)
        self._guests: dict[str, tuple[str, str, str]] = {}

    @property
    def away(self) -> bool:
        """Whether Redis is away, so that each process paces alone."""
        return self._desk.away

    async def admit(
        self,
        pool: Pool,
        lane: str,
        *,
        lease_s: float,
        max_wait_s: float,
        project: str,
        input_tokens: int,
        output_tokens: int,
        rest_s: float = 0.0,
        again: bool = False,
        waited_s: float = 0.0,
        job: str = "",
    ) -> Permit:
        """A permit for one call that ends within `lease_s`, in `rest_s` at the earliest. It is settled in every case.

        Raises MustWait when the wait is known to be, or has become, longer than `max_wait_s`; it names the pool whose
        turn it is for. Who comes `again` does not stand behind those that were sent away before; where it was first
        asked for `waited_s` ago, it keeps that place. The calls of one `job` hold one slot of its lane; a pool that
        holds too many sends others away at once.
        """
        line = self._lines.get(pool.name)
        if line is None:
            self._mail.start()
            line = self._lines[pool.name] = Line(pool, self._desk, self._clock, self._unnamed_wait_s)
        elif line.pool is not pool and line.pool != pool:
            line.configure(pool)
        wanted = Wanted(lane, project, input_tokens, output_tokens, lease_s, max_wait_s, again, waited_s)
        guest = lane, pool.name, job
        if not self._bulkhead.enter(*guest):
            raise line.crowded()
        try:
            permit = await line.admit(wanted, rest_s)
        except BaseException:
            self._bulkhead.leave(*guest)
            raise
        self._guests[permit.lease.id] = guest
        return permit

    def settle(self, permit: Permit, result: CallResult | None) -> None:
        """End a call, with what became of it; None: its caller left, nobody knows. Never waits, never fails."""
        if guest := self._guests.pop(permit.lease.id, None):
            self._bulkhead.leave(*guest)
        self._lines[permit.pool.name].settle(permit, result)

    async def room(self, pool: str, parked: Sequence[ParkedLine], within_s: float) -> Room:
        """What of the pool's line is free of all that goes within so many seconds, told how many wait outside of it.

        Raises SystemFault.
        """
        found = await self._desk.room(pool, parked, within_s)
        if found is None:
            line = self._lines.get(pool)
            found = room_for(A_FEW) if line is None else line.room_away(within_s)
        return replace(found, free={lane: min(n, self._bulkhead.left(lane, pool)) for lane, n in found.free.items()})

    def down(self, pool: Pool) -> bool:
        """Whether the pool's breaker is known here to be open."""
        line = self._lines.get(pool.name)
        return line is not None and line.down

    async def close(self) -> None:
        """Give back what is still to be given back; bounded, and quiet when Redis is away."""
        await asyncio.gather(*(line.close(2 * ROUND_TRIP_S) for line in self._lines.values()))
        await self._mail.close()
        await self._desk.close()

    def _come_back(self) -> None:
        for line in self._lines.values():
            line.wake(whole=True)

    def _on_grant(self, lease_id: str, mark: bytes) -> None:
        """One that nobody here waits for comes again with the next turn, and is given back then."""
        if lease_id:
            any(line.take(lease_id, mark) for line in self._lines.values())
            return
        for line in self._lines.values():
            line.wake()
