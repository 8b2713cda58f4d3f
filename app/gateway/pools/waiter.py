"""Callers of one process that wait for a pool: who is there, and what Redis has still to hear of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from app.domain.lane import LANES
from app.gateway.pools.pool import Lease

_REAL_TIME, _BULK = 0, 1


def track(lane: str) -> int:
    """How the controller's two lanes hold ours: real-time calls first; else a project's standard ones before bulk."""
    return _REAL_TIME if lane == LANES[0] else _BULK


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asks for: its lane, its project, the tokens it may take, how long its lease and patience last.

    `waited_s`: how long ago it was first asked for; it keeps that place. `again`: it has had a permit before, or its
    job has been parked or interrupted, so it does not stand behind those that are parked.
    """

    lane: str
    project: str
    input_tokens: int
    output_tokens: int
    lease_s: float
    max_wait_s: float
    again: bool = False
    waited_s: float = 0.0

    @property
    def rank(self) -> int:
        """0 for the lane that is served first."""
        return LANES.index(self.lane)

    @property
    def urgent(self) -> bool:
        """Whether a person may wait for it."""
        return track(self.lane) == _REAL_TIME


class Waiter:
    """One caller. Its future gets None when its lease is granted, or the error that sends it away."""

    __slots__ = ("future", "lease", "probe", "since_s", "timer", "told", "trial", "wanted")

    def __init__(self, lease_id: str, wanted: Wanted, asked_s: float) -> None:
        self.lease = Lease(lease_id, max(1, int(wanted.lease_s * 1000)))
        self.wanted = wanted
        self.since_s = asked_s - wanted.waited_s
        self.told = False
        self.probe = self.trial = False
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.timer: asyncio.TimerHandle | None = None

    @property
    def place(self) -> tuple[int, str, str]:
        """Where it stands in Redis: the controller's lane, its tenant, its member."""
        wanted, lease = self.wanted, self.lease
        member = f"{lease.id}|{wanted.input_tokens}|{wanted.output_tokens}|{lease.expires_ms}"
        return track(wanted.lane), wanted.project, member

    def send_away(self, error: Exception) -> None:
        """End the wait with an error."""
        if not self.future.done():
            self.future.set_exception(error)

    def stop_timer(self) -> None:
        """The wait is over."""
        if self.timer is not None:
            self.timer.cancel()


class Waiters:
    """Those of one pool."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiter] = {}
        self._joining: dict[str, Waiter] = {}
        self._leaving: dict[str, Waiter] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def to_tell(self) -> bool:
        """Whether Redis has still to hear of somebody."""
        return bool(self._joining or self._leaving)

    def add(self, waiter: Waiter) -> None:
        """One more."""
        self._waiting[waiter.lease.id] = self._joining[waiter.lease.id] = waiter

    def take(self, lease_id: str) -> Waiter | None:
        """The one whose lease was granted, waiting no more; None when it is not, or no longer, here."""
        self._joining.pop(lease_id, None)
        return self._waiting.pop(lease_id, None)

    def leave(self, waiter: Waiter) -> None:
        """It waits no more, granted or not."""
        lease_id = waiter.lease.id
        if self._waiting.pop(lease_id, None) is None:
            return
        if self._joining.pop(lease_id, None) is None and waiter.told:
            self._leaving[lease_id] = waiter

    def joining(self, most: int) -> list[Waiter]:
        """Those to register now; from here on Redis may know of them."""
        found = list(islice(self._joining.values(), most))
        for waiter in found:
            waiter.told = True
            del self._joining[waiter.lease.id]
        return found

    def leaving(self, most: int) -> list[Waiter]:
        """Those to withdraw; `gone` says that Redis has heard."""
        return list(islice(self._leaving.values(), most))

    def gone(self, waiters: Iterable[Waiter]) -> None:
        """Redis knows of these no more."""
        for waiter in waiters:
            self._leaving.pop(waiter.lease.id, None)

    def tell_again(self) -> None:
        """Redis has lost all of them, or may have; those who left are told too: it may have granted them meanwhile."""
        self._joining = dict(self._waiting)

    def in_order(self) -> list[Waiter]:
        """By lane, then by arrival: the order of a process alone."""
        return sorted(self._waiting.values(), key=lambda waiter: (waiter.wanted.rank, waiter.since_s))

    def send_away(self, error: Callable[[], Exception], when: Callable[[Waiter], bool]) -> None:
        """End the wait of those it holds for, each with an error of its own."""
        for waiter in list(self._waiting.values()):
            if when(waiter):
                waiter.send_away(error())
                self.leave(waiter)

    def send_one_away(self, lease_id: str, error: Exception) -> None:
        """End the wait of one that Redis did not let in."""
        waiter = self._waiting.pop(lease_id, None)
        if waiter is not None:
            waiter.send_away(error)

    def start_patience(self, waiters: Iterable[Waiter], give_up: Callable[[Waiter], None]) -> None:
        """Those that got nothing wait `max_wait_s` from now, then give up."""
        loop = asyncio.get_running_loop()
        for waiter in waiters:
            if waiter.timer is None and not waiter.future.done():
                waiter.timer = loop.call_later(waiter.wanted.max_wait_s, give_up, waiter)
