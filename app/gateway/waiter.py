"""Callers that wait for a slot of one pool: the interactive lane first, then in order of arrival."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable

from app.gateway.pool import Lease
from app.settings import LANES


class Waiter:
    """One caller. Its future gets None when `lease` is granted, or the error that sends it away."""

    __slots__ = ("future", "lease", "max_wait_s", "place", "timer")

    def __init__(self, lease: Lease, place: tuple[int, int], max_wait_s: float) -> None:
        self.lease = lease
        self.place = place
        self.max_wait_s = max_wait_s
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.timer: asyncio.TimerHandle | None = None

    def __lt__(self, other: Waiter) -> bool:
        return self.place < other.place

    @property
    def gone(self) -> bool:
        """Whether nobody waits here any more."""
        return self.future.done()

    def send_away(self, error: Exception) -> None:
        """End the wait with an error."""
        if not self.gone:
            self.future.set_exception(error)

    def stop_timer(self) -> None:
        """The wait is over."""
        if self.timer is not None:
            self.timer.cancel()


class Waiters:
    """The callers of one pool in this process, in the order in which they are served."""

    def __init__(self) -> None:
        self._heap: list[Waiter] = []
        self._untold: list[Waiter] = []
        self._arrivals = 0

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, lane: str, process: str, lease_s: float, max_wait_s: float) -> Waiter:
        """A new caller, at the end of its lane."""
        self._arrivals += 1
        lease = Lease(f"{process}:{self._arrivals}", max(1, int(lease_s * 1000)))
        waiter = Waiter(lease, (LANES.index(lane), self._arrivals), max_wait_s)
        heapq.heappush(self._heap, waiter)
        self._untold.append(waiter)
        return waiter

    def take(self, limit: int) -> list[Waiter]:
        """The first callers who are still there, taken out of the line."""
        heads: list[Waiter] = []
        while self._heap and len(heads) < limit:
            waiter = heapq.heappop(self._heap)
            if not waiter.gone:
                heads.append(waiter)
        if not self._heap:
            self._untold.clear()
            self._untold.extend(heads)
        return heads

    def put_back(self, waiters: Iterable[Waiter]) -> None:
        """Callers who got nothing keep their place."""
        for waiter in waiters:
            heapq.heappush(self._heap, waiter)

    def send_away(self, error: Exception, when: Callable[[Waiter], bool]) -> None:
        """End the wait of those it holds for, with an error."""
        for waiter in self._heap:
            if when(waiter):
                waiter.send_away(error)
        self._heap = [waiter for waiter in self._heap if not waiter.gone]
        heapq.heapify(self._heap)

    def start_patience(self, give_up: Callable[[Waiter], None]) -> None:
        """The pool is full: whoever hears it for the first time waits `max_wait_s` from now, then gives up."""
        loop = asyncio.get_running_loop()
        for waiter in self._untold:
            if waiter.timer is None and not waiter.gone:
                waiter.timer = loop.call_later(waiter.max_wait_s, give_up, waiter)
        self._untold.clear()
