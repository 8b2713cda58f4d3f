"""Budgets while Redis is away: the ledger, read again every two seconds, is what all processes share then."""

from __future__ import annotations

import asyncio
from uuid import UUID

from app.domain.budget import Cap, Counter
from app.domain.clock import Clock
from app.gateway.budgets.reservation import Reservation
from app.store.database import StoreAway
from app.store.ledger import Ledger

_FRESH_S = 2.0
_MOST_KNOWN = 10_000


class LocalBudgets:
    """Knows what the ledger says and what this process itself holds, not what others hold.

    So a cap is passed by at most what is in flight, and what all others spend within two seconds. Calls are held
    while the ledger cannot be read either.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._read: dict[Counter, tuple[float, int]] = {}
        self._held: dict[UUID, tuple[Reservation, int]] = {}
        self._reading = asyncio.Lock()

    async def judge(self, held: Reservation) -> tuple[str, Cap]:
        """`granted`, `full` or `spent`, and by which cap: the rule of `budget.lua`.

        All is read before the first look: between that and the grant nobody else may be granted anything.
        """
        known: dict[Counter, int] = {}
        for cap in held.caps:
            try:
                known[cap.counter] = await self.spent(cap.counter)
            except StoreAway:
                return "full", cap
        verdict, which = "granted", held.caps[0]
        for cap in held.caps:
            _, spent = self._read.get(cap.counter, (0.0, known[cap.counter]))
            mine = self._mine(cap.counter)
            if spent >= cap.nanos:
                verdict, which = "spent", cap
            elif verdict != "spent" and mine > 0 and spent + mine + held.nanos > cap.nanos:
                verdict, which = "full", cap
        if verdict == "granted":
            self._held[held.call_id] = (held, held.nanos)
        return verdict, which

    def _mine(self, counter: Counter) -> int:
        return sum(nanos for held, nanos in self._held.values() if any(cap.counter == counter for cap in held.caps))

    def settle(self, held: Reservation, cost_nanos: int) -> None:
        """It ended."""
        if held.call_id in self._held:
            self._held[held.call_id] = (held, cost_nanos)

    def release(self, held: Reservation) -> None:
        """It was not made."""
        self._held.pop(held.call_id, None)

    def book(self, held: Reservation, cost_nanos: int) -> None:
        """It is on the books, later than they were read."""
        if self._held.pop(held.call_id, None) is None:
            return
        for cap in held.caps:
            if cap.counter in self._read:
                read_at, spent = self._read[cap.counter]
                self._read[cap.counter] = (read_at, spent + cost_nanos)

    async def spent(self, counter: Counter) -> int:
        """What the ledger said at most two seconds ago. Raises StoreAway."""
        async with self._reading:
            read_at, spent = self._read.get(counter, (float("-inf"), 0))
            if self._clock.monotonic() - read_at > _FRESH_S:
                spent = await self._ledger.spent(counter)
                if len(self._read) > _MOST_KNOWN:
                    self._read.clear()
                self._read[counter] = (self._clock.monotonic(), spent)
            return spent
