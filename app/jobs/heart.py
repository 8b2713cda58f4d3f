"""The heartbeat: proves that this process lives, and knows when it may not act."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from app.domain.clock import Clock
from app.store.database import StoreAway
from app.store.workers import Workers
from app.telemetry.logs import log


class Heart:
    """Beats every quarter of the lease, at most once a second, only while the event loop turns."""

    def __init__(self, workers: Workers, clock: Clock, *, role: str, lanes: Sequence[str], lease_s: float) -> None:
        self._workers = workers
        self._clock = clock
        self._role = role
        self._lanes = lanes
        self._lease_s = lease_s
        self._interval_s = min(1.0, lease_s / 4)
        self._last = float("-inf")
        self._since = float("inf")
        self._beaten = asyncio.Event()
        self._on_cancel: Callable[[Sequence[UUID]], None] = lambda _: None
        self._on_lost: Callable[[], Awaitable[None]] | None = None
        self._lost = False
        self._log = log("heart")

    @property
    def fresh(self) -> bool:
        """Whether new work may start: the last beat is younger than two thirds of the lease."""
        return self._clock.monotonic() - self._last < self._lease_s * 2 / 3

    @property
    def steady(self) -> bool:
        """Whether others may be declared dead: this process has itself beaten for a whole lease without a gap."""
        return self.fresh and self._clock.monotonic() - self._since >= self._lease_s

    def on_cancel(self, act: Callable[[Sequence[UUID]], None]) -> None:
        """Call `act` with the running jobs that were told to cancel, at each beat."""
        self._on_cancel = act

    def on_lost(self, act: Callable[[], Awaitable[None]]) -> None:
        """Await `act` after this process was taken for dead, before it counts as fresh again."""
        self._on_lost = act

    async def may_start(self) -> None:
        """Return once new work may start."""
        while not self.fresh:
            self._beaten.clear()
            await self._beaten.wait()

    async def register(self) -> None:
        """Make the process known and beat once. Raises StoreAway."""
        await self._workers.register(self._role, socket.gethostname(), os.getpid(), self._lanes, self._lease_s)
        await self._beat()

    async def run(self) -> None:
        """Beat until canceled."""
        while True:
            started = self._clock.monotonic()
            await self.beat_once()
            await self._clock.sleep(max(0.05, self._interval_s - (self._clock.monotonic() - started)))

    async def beat_once(self) -> None:
        """One beat; a database that is away is logged, not raised."""
        try:
            await self._beat()
        except StoreAway as error:
            self._log.warning("beat failed", error=str(error))

    async def _beat(self) -> None:
        # From when it was sent: a process that froze while it waited reads an answer that is as old as its sleep.
        asked = self._clock.monotonic()
        beat = await self._workers.beat()
        if not beat.alive:
            # Somebody declared us dead; our jobs' fences have moved, or will. Join again under the same id.
            self._since = float("inf")
            self._lost = True
            self._log.warning("lease lost")
            await self._workers.register(self._role, socket.gethostname(), os.getpid(), self._lanes, self._lease_s)
        if self._lost and self._on_lost is not None:
            await self._on_lost()
        self._lost = False
        self._note(asked)
        if beat.canceled:
            self._on_cancel(beat.canceled)

    def _note(self, at: float) -> None:
        if at - self._last > self._lease_s * 2 / 3:
            self._since = at
        self._last = at
        self._beaten.set()
