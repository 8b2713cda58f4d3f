"""Strays: what the database says this worker owns, and what it does not know; a claim whose answer was lost."""

from __future__ import annotations

from uuid import UUID

from app.bell.ring import Ring
from app.bell.wake import Wake
from app.jobs.deliver import Deliver
from app.jobs.export import Export
from app.jobs.holds import Owned
from app.jobs.recover import tell
from app.jobs.run import Run
from app.store.claims import Claims
from app.store.controls import Controls
from app.store.deliveries import Deliveries
from app.telemetry.logs import log


class Strays:
    """Gives strays back, jobs and deliveries. No lease would ever end for them, since their owner lives."""

    def __init__(
        self, controls: Controls, claims: Claims, run: Run, deliveries: Deliveries, deliver: Deliver, worker_id: UUID,
        ring: Ring, wake: Wake, export: Export,
    ) -> None:  # fmt: skip
        self._controls = controls
        self._claims = claims
        self._run = run
        self._deliveries = deliveries
        self._deliver = deliver
        self._worker_id = worker_id
        self._ring = ring
        self._wake = wake
        self._export = export
        self._suspects: frozenset[Owned] = frozenset()
        self._unsent: frozenset[UUID] = frozenset()

    async def look(self) -> None:
        """Give back what was unknown at two looks in a row: a claim may be on its way at one."""
        unknown = frozenset(await self._claims.owned()) - self._run.held
        strays, self._suspects = unknown & self._suspects, unknown
        if strays:
            await self._give_back(strays - self._run.held)
        unsent = frozenset(await self._deliveries.owned()) - self._deliver.held
        left, self._unsent = unsent & self._unsent, unsent
        if left:
            await self._give_back_unsent(left - self._deliver.held)

    async def give_back_all(self) -> None:
        """Before a worker leaves: no job may stay behind in its name."""
        await self._give_back(frozenset(await self._claims.owned()))

    async def _give_back(self, jobs: frozenset[Owned]) -> None:
        if not jobs:
            return
        job_ids = [job_id for job_id, _ in jobs]
        for job_id in job_ids:
            self._claims.let_go(job_id)
        moved = await self._controls.recover([self._worker_id], died=False, job_ids=job_ids)
        log("strays").warning("given back", count=len(moved))
        tell(moved, self._ring, self._wake)
        self._export.ended(moved)

    async def _give_back_unsent(self, delivery_ids: frozenset[UUID]) -> None:
        if delivery_ids:
            await self._deliveries.give_back(list(delivery_ids))
            log("strays").warning("webhooks given back", count=len(delivery_ids))
            self._ring.ring("delivery")
