"""The journal of one claimed job, in SQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from app.domain.clock import Clock
from app.domain.crash import crash_here
from app.domain.job import Claimed
from app.domain.step import StepRecord, StepStatus, StepWrite
from app.engine.journal import OwnershipLost
from app.store.database import StoreAway
from app.store.steps import Steps
from app.telemetry.logs import log

_RETRY_S = 0.25
Acquit = Callable[[Claimed], Awaitable[None]]
"""Awaited when a job that was running at a death has got on since, at its first finished step. May raise StoreAway."""


class SqlJournal:
    """Records under the job's fence. A database that is away is waited for: the work is done and must not be lost."""

    def __init__(self, steps: Steps, job: Claimed, clock: Clock, acquit: Acquit | None = None) -> None:
        self._steps = steps
        self._job = job
        self._clock = clock
        self._acquit = acquit if job.deaths else None

    async def load(self) -> list[StepRecord]:
        """All records of the job."""
        return await self._steps.load(self._job.id)

    async def write(self, write: StepWrite) -> None:
        """Store the record. Raises OwnershipLost when the fence refuses."""
        crash_here("step.done")
        while True:
            try:
                owned = await self._steps.write(self._job, write)
                break
            except StoreAway as error:
                log("jobs").warning("record waits", error=str(error))
                await self._clock.sleep(_RETRY_S)
        if not owned:
            raise OwnershipLost
        crash_here("step.recorded")
        if self._acquit is not None and write.record.status is StepStatus.SUCCEEDED:
            acquit, self._acquit = self._acquit, None
            with suppress(StoreAway):
                await acquit(self._job)
