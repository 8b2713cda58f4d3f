"""Budgets: money is set aside before a call and settled after it, so that no number of callers can overspend.

The rules are those of `budget.lua`. A counter is what the ledger says of a period, and what calls in flight hold; it
lies in Redis, and whoever finds it missing reads the ledger again. While Redis is away, `budget_away` decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from app.domain import ids
from app.domain.budget import Cap, Counter, Spender
from app.domain.clock import Clock
from app.domain.errors import MustWait
from app.domain.job import Reason
from app.gateway.budgets.away import LocalBudgets
from app.gateway.budgets.caps import Caps
from app.gateway.budgets.reservation import Reservation, told
from app.gateway.budgets.till import Step, Till
from app.gateway.redis.reach import RedisAway
from app.store.database import StoreAway
from app.store.ledger import Ledger
from app.telemetry.logs import log

# Between two looks whether a call in flight has given back what it held.
_LOOK_S = (0.03, 0.1)
# A job that found a budget held by calls in flight for longer than it may keep its slot comes back after this.
_FULL_S = 5.0
# The ledger is read for a counter within this long.
_SEEDED_S = 5.0
# Jobs that wait for a period to turn come back within this long, not all at once.
_SPREAD_S = 2.0
# A call that has ended gets on the books with its step, within the time of so many calls, or its worker has died.
_TRIES = 3
# What is spent of a budget is told to whoever submits as it was at most so long ago.
_FRESH_S = 0.25
_MOST_KNOWN = 10_000
# Of more calls of which the books were never told, their expiry tells.
_MOST_UNBOOKED = 10_000
# From this part of a budget on, calls that can wait go where they are cheap; what others spent meanwhile is read again
# where nothing was heard of it for so long.
TIGHT, _TIGHT_FRESH_S = 0.8, 1.0
_log = log("gateway")
Noted = Callable[[Cap, int], None]


@dataclass(slots=True)
class _Unbooked:
    """A call that was made and is not on the books yet."""

    reservation: Reservation
    cost_nanos: int = 0


class Budgets:
    """Asked around each call, and at each submit. `noted` hears what is spent of a cap, each time that is known."""

    def __init__(
        self, till: Till, caps: Caps, ledger: Ledger, local: LocalBudgets, clock: Clock, max_wait_s: float, noted: Noted
    ) -> None:
        self._till = till
        self._caps = caps
        self._ledger = ledger
        self._local = local
        self._clock = clock
        self.max_wait_s = max_wait_s
        self._noted = noted
        self._unbooked: dict[UUID, _Unbooked] = {}
        # What part of each cap is spent, and when that was heard (monotonic seconds).
        self._shares: dict[Counter, tuple[float, float]] = {}
        self._looks: dict[Spender, tuple[float, Cap | None]] = {}

    async def caps(self, spender: Spender, at: datetime | None = None) -> tuple[Cap, ...]:
        """What bounds the spender in the periods of that moment, or now; nothing for most."""
        return await self._caps.of(spender, at)

    async def reserve(self, held: Reservation) -> Reservation:
        """Set it aside in each of its caps, and in the run's purse; the same reservation.

        Where no budget bounds it, Redis is told of the call beside it, so that it is booked should its worker die.
        Raises MustWait (`budget`) until the period turns, or for a while where calls in flight hold what is left;
        ProcessingError `cost_cap_reached`.
        """
        if held.purse is not None:
            await held.purse.reserve(held.nanos)
        if held.caps:
            try:
                await self._set_aside(held)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError):
                    # It may have been granted in the same tick.
                    self._take_back(held)
                if held.purse is not None:
                    held.purse.release(held.nanos)
                raise
        elif held.lost is not None:
            self._till.tell(_reserving(held))
        if held.lost is not None:
            self._unbooked[held.call_id] = _Unbooked(held)
            if len(self._unbooked) > _MOST_UNBOOKED:
                del self._unbooked[next(iter(self._unbooked))]
        return held

    def release(self, held: Reservation) -> None:
        """The call is not made."""
        if held.purse is not None:
            held.purse.release(held.nanos)
        if self._unbooked.pop(held.call_id, None) is not None:
            self._take_back(held)

    def _take_back(self, held: Reservation) -> None:
        """What is set aside for it, if anything is."""
        self._local.release(held)
        step = {"act": "release", "id": str(held.call_id), "counters": held.counters}
        self._till.tell(step, soon=bool(held.caps))

    def settle(self, held: Reservation, cost_nanos: int) -> None:
        """The call has ended, and its run knows what it cost. Never waits, never fails."""
        if held.purse is not None:
            held.purse.release(held.nanos)
        unbooked = self._unbooked.get(held.call_id)
        if unbooked is None:
            return
        unbooked.cost_nanos = cost_nanos
        self._local.settle(held, cost_nanos)
        ttl_ms = int(_TRIES * held.ttl_s * 1000)
        step = {"act": "settle", "id": str(held.call_id), "cost": cost_nanos, "ttl_ms": ttl_ms}
        self._till.tell({**step, "about": held.about, "counters": held.counters}, soon=bool(held.caps))

    def booked(self, call_ids: Iterable[UUID]) -> None:
        """These calls stand in the ledger."""
        for call_id in call_ids:
            unbooked = self._unbooked.pop(call_id, None)
            if unbooked is not None:
                held, cost = unbooked.reservation, unbooked.cost_nanos
                self._local.book(held, cost)
                step = {"act": "book", "id": str(call_id), "cost": cost, "counters": held.counters}
                self._till.tell(step, partial(self._heard, held.caps), soon=bool(held.caps))

    async def tight(self, spender: Spender) -> bool:
        """Whether a budget of the spender is at 80 % or more, whoever spent it, as of a second ago at most."""
        caps, now = await self.caps(spender), self._clock.monotonic()
        unheard = [cap for cap in caps if now - self._share(cap)[1] > _TIGHT_FRESH_S]
        for cap in unheard:
            # One looks, who comes with it goes by what was known.
            self._shares[cap.counter] = self._share(cap)[0], now
        if unheard:
            with suppress(StoreAway):
                await self.spent(unheard)
        return any(self._share(cap)[0] >= TIGHT for cap in caps)

    def _share(self, cap: Cap) -> tuple[float, float]:
        return self._shares.get(cap.counter, (0.0, float("-inf")))

    async def spent_cap(self, spender: Spender) -> Cap | None:
        """The budget of the spender that is spent, and for longest; None while each has something left.

        Raises StoreAway where neither Redis nor the ledger can be asked.
        """
        looked_at, found = self._looks.get(spender, (float("-inf"), None))
        now = self._clock.monotonic()
        if now - looked_at > _FRESH_S:
            caps = await self.caps(spender)
            spent = await self.spent(caps) if caps else []
            over = [cap for cap, nanos in zip(caps, spent, strict=True) if nanos >= cap.nanos]
            found = over[-1] if over else None
            if len(self._looks) > _MOST_KNOWN:
                self._looks.clear()
            self._looks[spender] = (now, found)
        return found

    async def bounding(self, spenders: Iterable[Spender]) -> list[tuple[Cap, int]]:
        """Every budget that bounds one of them, and what is on the books of it. Raises StoreAway."""
        caps = list(dict.fromkeys([cap for one in spenders for cap in await self.caps(one)]))
        return list(zip(caps, await self.spent(caps), strict=True)) if caps else []

    async def spent(self, caps: Sequence[Cap]) -> list[int]:
        """What is on the books of each. Raises StoreAway."""
        try:
            while True:
                answer = await self._till.ask({"act": "read", "counters": [told(cap) for cap in caps]})
                missing = [cap for cap, text in zip(caps, answer[1:], strict=True) if not text]
                if not missing:
                    self._note(caps, answer[1:])
                    return [int(text) for text in answer[1:]]
                await self._seed(missing[0])
        except RedisAway:
            return [await self._local.spent(cap.counter) for cap in caps]

    async def _set_aside(self, held: Reservation) -> None:
        began = self._clock.monotonic()
        while True:
            verdict, cap = await self._verdict(held)
            if verdict == "granted":
                return
            if verdict == "spent":
                raise MustWait(Reason.BUDGET, cap.counter.end + timedelta(seconds=ids.jitter(0.1, _SPREAD_S)))
            if verdict == "clock":
                # In a period of its own it could spend what others hold back; those go on with its jobs.
                _log.error("clock differs", what=cap.counter.name)
                raise MustWait(Reason.BUDGET, self._clock.now() + timedelta(seconds=_FULL_S))
            patience_s = max(self.max_wait_s, _SEEDED_S) if verdict == "unseeded" else self.max_wait_s
            if self._clock.monotonic() - began >= patience_s:
                raise MustWait(Reason.BUDGET, self._clock.now() + timedelta(seconds=_FULL_S))
            if verdict == "unseeded":
                with suppress(RedisAway, StoreAway):
                    await self._seed(cap)
            else:
                await self._clock.sleep(ids.jitter(*_LOOK_S))

    async def _verdict(self, held: Reservation) -> tuple[str, Cap]:
        try:
            answer = await self._till.ask(_reserving(held))
        except RedisAway:
            self._till.doubt(held.counters)
            return await self._local.judge(held)
        if answer[0] == "granted":
            self._note(held.caps, answer[1:])
            return answer[0], held.caps[0]
        cap = held.caps[int(answer[1]) - 1]
        if answer[0] == "spent":
            self._shares[cap.counter] = 1.0, self._clock.monotonic()
        return answer[0], cap

    async def _seed(self, cap: Cap) -> None:
        """Read the ledger for a counter that Redis does not have; one of all callers does, the others look again."""
        token, counter = ids.secret_base62(10), told(cap)
        answer = await self._till.ask({"act": "begin", "counter": counter, "token": token})
        if answer[0] != "begun":
            await self._clock.sleep(ids.jitter(*_LOOK_S))
            return
        total = await self._ledger.spent(cap.counter, [UUID(text) for text in answer[1:]])
        await self._till.ask({"act": "seed", "counter": counter, "token": token, "sum": total})

    def _heard(self, caps: Sequence[Cap], answer: list[str]) -> None:
        self._note(caps, answer[1:])

    def _note(self, caps: Sequence[Cap], spent: Sequence[str]) -> None:
        for cap, text in zip(caps, spent, strict=False):
            if not text:
                continue
            if len(self._shares) > _MOST_KNOWN:
                self._shares.clear()
            share = int(text) / cap.nanos if cap.nanos else 1.0
            self._shares[cap.counter] = share, self._clock.monotonic()
            self._noted(cap, int(text))


def _reserving(held: Reservation) -> Step:
    step: Step = {"act": "reserve", "id": str(held.call_id), "amount": held.nanos, "about": held.about}
    return {**step, "ttl_ms": int(held.ttl_s * 1000), "counters": held.counters}
