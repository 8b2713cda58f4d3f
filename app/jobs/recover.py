"""Recovery: takes back what dead processes held, ends what a client's clock ended, keeps the house."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from app.bell.ring import Ring
from app.bell.wake import Wake
from app.domain.clock import Clock
from app.jobs.export import Export
from app.jobs.heart import Heart
from app.store.announce import Moved
from app.store.controls import Controls
from app.store.database import Database, StoreAway
from app.store.deliveries import Deliveries
from app.store.partitions import ensure_partitions
from app.store.workers import Workers
from app.telemetry.logs import log

_HOUSEKEEPING_S = 3600.0


class Recover:
    """The loop that every API and worker process runs."""

    def __init__(
        self, database: Database, controls: Controls, workers: Workers, deliveries: Deliveries, ring: Ring, wake: Wake,
        heart: Heart, export: Export, cascade: Callable[[], Awaitable[None]], clock: Clock, interval_s: float,
    ) -> None:  # fmt: skip
        self._database = database
        self._controls = controls
        self._workers = workers
        self._deliveries = deliveries
        self._ring = ring
        self._wake = wake
        self._heart = heart
        self._export = export
        self._cascade = cascade
        self._clock = clock
        self._interval_s = interval_s
        self._kept_at = float("-inf")
        self._log = log("recover")

    async def run(self) -> None:
        """Look until canceled; a database that is away is waited for."""
        while True:
            try:
                await self.once()
            except StoreAway as error:
                self._log.warning("recover failed", error=str(error))
            await self._clock.sleep(self._interval_s)

    async def once(self) -> None:
        """One look."""
        if self._heart.steady:
            await self._workers.give_up_late()
        await self.take_back([*await self._workers.orphaned(), *await self._deliveries.orphaned()])
        self._tell(await self._controls.expire_due())
        await self._cascade()
        if self._clock.monotonic() - self._kept_at > _HOUSEKEEPING_S:
            self._kept_at = self._clock.monotonic()
            await ensure_partitions(self._database)
            await self._workers.forget_old()

    async def take_back(self, dead: Sequence[UUID]) -> None:
        """Make due again what these processes held; a death is counted against each job."""
        if not dead:
            return
        moved = await self._controls.recover(dead, died=True)
        await self._deliveries.recover(list(dead))
        self._log.warning("recovered", count=len(moved))
        self._tell(moved)

    def _tell(self, moved: Sequence[Moved]) -> None:
        tell(moved, self._ring, self._wake)
        self._export.ended(moved)


def tell(moved: Sequence[Moved], ring: Ring, wake: Wake) -> None:
    """After a commit: wake who waits, ring the lanes that have work now, ring the outbox."""
    wake.moved(move.id for move in moved)
    for move in moved:
        for lane in (*move.rings, *(() if move.status.terminal else (move.lane,))):
            ring.ring(lane)
        if move.has_webhook and move.event is not None:
            ring.ring("delivery")
