"""Replay: runs dead letters again, by ids or by filter, portion by portion, in whichever process lives."""

from __future__ import annotations

import asyncio
from uuid import UUID

from app.bell.ring import Ring
from app.bell.wake import Wake
from app.domain import ids
from app.domain.clock import Clock
from app.domain.crash import crash_here
from app.domain.errors import Problem
from app.domain.operation import AuditEntry, Cause, Operation, Which
from app.domain.operation import Replay as Order
from app.jobs.recover import tell
from app.jobs.submit import key_reused
from app.settings import QueueSettings
from app.store.audits import Audits
from app.store.database import StoreAway
from app.store.dead_letters import DeadLetters
from app.store.operations import Bounds, Operations, Portion
from app.store.submissions import IdempotencyKey, Outcome
from app.telemetry.logs import log


class Replay:
    """The verbs for dead letters, and the loop that every API and worker process runs."""

    def __init__(
        self, letters: DeadLetters, operations: Operations, audits: Audits, ring: Ring, wake: Wake, clock: Clock,
        interval_s: float,
    ) -> None:  # fmt: skip
        self._letters = letters
        self._operations = operations
        self._audits = audits
        self._ring = ring
        self._wake = wake
        self._clock = clock
        self._interval_s = interval_s
        self._log = log("replay")

    async def causes(self, project_id: UUID, which: Which, limit: int, offset: int = 0) -> tuple[list[Cause], int]:
        """The most frequent causes from `offset` on, and how many jobs all of them have. Raises Problem not_found."""
        await self._refuse_unknown(project_id, which)
        return await self._letters.causes(project_id, which, limit, offset)

    async def begin(
        self, project_id: UUID, key_id: UUID, order: Order, idempotency: IdempotencyKey | None
    ) -> tuple[Operation, bool]:
        """The operation, and whether the same request with this key began it before.

        Raises Problem not_found, idempotency_key_reused.
        """
        await self._refuse_unknown(project_id, order.which)
        begun = await self._operations.begin(project_id, key_id, order, idempotency)
        if isinstance(begun, Operation):
            return begun, False
        outcome, earlier = begun
        if outcome is Outcome.KEY_REUSED:
            raise key_reused()
        return await self.operation(project_id, earlier), True

    async def operation(self, project_id: UUID, operation_id: UUID) -> Operation:
        """One operation. Raises Problem not_found."""
        found = await self._operations.find(project_id, operation_id)
        if found is None:
            raise Problem("not_found", "There is no operation with this id.")
        return found

    async def audit(
        self, project_id: UUID, limit: int, *, after: UUID | None, operation_id: UUID | None, jobs: bool
    ) -> list[AuditEntry]:
        """Who did what, newest first, behind `after`; with the jobs' ids where `jobs` asks for them."""
        return await self._audits.page(project_id, limit, after=after, operation_id=operation_id, jobs=jobs)

    async def run(self) -> None:
        """Look for operations until canceled; a database that is away is waited for."""
        while True:
            try:
                await self.once()
            except StoreAway as error:
                self._log.warning("replay waits", error=str(error))
            await self._clock.sleep(self._interval_s)

    async def once(self) -> None:
        """Work in turns on all operations, until each has ended, is held, or is another process's."""
        left = await self._operations.running()
        while left:
            left = [operation_id for operation_id in left if await self._goes_on(operation_id)]
            await asyncio.sleep(0)

    async def _goes_on(self, operation_id: UUID) -> bool:
        """Do a portion; whether there may be another now."""
        done = await self._operations.work(operation_id)
        if done is None:
            return False
        crash_here("replay.portion")
        self._told(done)
        return not (done.ended or done.held)

    def _told(self, done: Portion) -> None:
        if done.moved:
            self._log.info("replayed", count=len(done.moved))
        tell(done.moved, self._ring, self._wake)

    async def _refuse_unknown(self, project_id: UUID, which: Which) -> None:
        unknown = await self._operations.unknown(project_id, which.job_ids) if which.job_ids else None
        if unknown is not None:
            raise Problem("not_found", f"There is no job with the id {ids.show('job', unknown)}.")


def bounds(queue: QueueSettings) -> Bounds:
    """Replays fill the queue up to half of its caps: new work finds the other half."""
    return Bounds(queue.portion, max(1, queue.max_unstarted // 2), max(1, queue.max_unstarted_per_project // 2))
