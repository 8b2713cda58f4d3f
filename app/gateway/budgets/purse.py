"""The purse of one run: what `max_cost_usd` leaves to its calls, counted before they are made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.domain import money
from app.domain.errors import ProcessingError


class Purse:
    """A run is in one process, so this needs no Redis. `spent` tells what the job has spent, in nano-dollars.

    As with other budgets, a call is let through while something is left and no other one is in flight.
    """

    def __init__(self, cap_nanos: int, spent: Callable[[], int]) -> None:
        self._cap = cap_nanos
        self._spent = spent
        self._open = 0
        self._calls = 0
        self._waiting: list[asyncio.Future[None]] = []

    def check(self, least_nanos: int) -> None:
        """Whether a call that certainly costs so much, its input alone, may be made at all.

        Raises ProcessingError `cost_cap_reached`.
        """
        left = self._cap - self._spent()
        if left < least_nanos:
            least, rest = money.show(least_nanos), money.show(max(0, left))
            what = f"the input of the next call alone costs ${least}, max_cost_usd leaves ${rest}"
            raise ProcessingError(what, code="cost_cap_reached")

    async def reserve(self, nanos: int) -> None:
        """Set so much aside; while calls in flight hold what is left, wait for them.

        Raises ProcessingError `cost_cap_reached`.
        """
        while self._calls and self._spent() < self._cap < self._spent() + self._open + nanos:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        if self._spent() >= self._cap:
            raise ProcessingError("the job has used all that max_cost_usd allows", code="cost_cap_reached")
        self._open += nanos
        self._calls += 1

    def release(self, nanos: int) -> None:
        """The call has ended, and what it cost stands in `spent`; or it was not made."""
        self._open -= nanos
        self._calls -= 1
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
