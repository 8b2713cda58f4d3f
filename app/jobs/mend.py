"""Completes jobs that succeeded without some of their steps: their function runs again over the records, unhurried."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.domain import ids
from app.domain.job import Usage
from app.engine.catalogue import UnknownWorkflow
from app.engine.journal import OwnershipLost
from app.engine.outcome import Outcome, Parked, Succeeded
from app.engine.perform import perform
from app.engine.run import Account
from app.jobs.recover import tell
from app.jobs.run import Run, RunParts
from app.store.database import StoreAway
from app.store.mends import Due, Mend, Mends
from app.telemetry.logs import about, log

# So many at once in each worker, beside its slots.
_MOST = 4
_LOOK_S = 2.0


class Mending:
    """The loop that every worker runs. `schedule_s`: the wait before each try."""

    def __init__(self, parts: RunParts, run: Run, mends: Mends, schedule_s: Sequence[float]) -> None:
        self._parts = parts
        self._run = run
        self._mends = mends
        self._schedule_s = schedule_s
        self._log = log("jobs")

    async def run(self) -> None:
        """Look until canceled; a database that is away is waited for."""
        while True:
            found = 0
            try:
                if self._parts.heart.fresh:
                    found = await self.once()
            except StoreAway as error:
                self._log.warning("mending waits", error=str(error))
            if found < _MOST:
                await self._parts.clock.sleep(_LOOK_S)

    async def once(self) -> int:
        """Try those that are due; how many there were. Raises StoreAway."""
        found = await self._mends.claim(_MOST)
        ends = await asyncio.gather(*(self._mend(due) for due in found), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return len(found)

    async def _mend(self, due: Due) -> None:
        job, account = due.job, Account()
        with about(job_id=ids.show("job", job.id), trace_id=job.trace.trace_id):
            base, _ = await self._parts.steps.used(job)
            try:
                outcome = await self._outcome(due, account, base)
            except OwnershipLost:
                return
            finally:
                # Whoever stops a worker leaves the job to another one; its calls were made and paid for.
                await asyncio.shield(self._run.book(job, account))
            moved = await self._mends.settle(self._settled(due, outcome, base + account.usage))
        if moved is not None:
            tell([moved], self._parts.ring, self._parts.wake)

    async def _outcome(self, due: Due, account: Account, base: Usage) -> Outcome | None:
        """How it ended; None where this worker does not know the workflow."""
        try:
            workflow = self._parts.catalogue.get(due.job.workflow, due.job.version)
        except UnknownWorkflow:
            return None
        return await perform(workflow, self._run.mending(due.job, account, base))

    def _settled(self, due: Due, outcome: Outcome | None, usage: Usage) -> Mend:
        if isinstance(outcome, Parked):
            wait_s = max(0.0, (outcome.until - self._parts.clock.now()).total_seconds())
            return Mend(due.job, usage, wait_s, tried=False)
        if not isinstance(outcome, Succeeded):
            return Mend(due.job, usage, self._next_s(due))
        again_s = self._next_s(due) if outcome.incomplete else None
        if list(outcome.degraded) == due.degraded:
            return Mend(due.job, usage, again_s)
        return Mend(due.job, usage, again_s, output=outcome.output, degraded=outcome.degraded)

    def _next_s(self, due: Due) -> float | None:
        """The wait after this try; None after the last one."""
        tried = due.tries + 1
        return self._schedule_s[tried] if tried < len(self._schedule_s) else None
