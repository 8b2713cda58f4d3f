"""Settle or park: what an outcome means for the job, written under the fence."""

from __future__ import annotations

from dataclasses import replace

from app.domain.clock import Clock
from app.domain.errors import Disposition, ErrorClass, Failure
from app.domain.job import Claimed, Known, Reason, Status, Usage
from app.engine.outcome import Failed, Outcome, Parked, Succeeded
from app.jobs.progress import Progress
from app.store.announce import Moved
from app.store.database import StoreAway
from app.store.leaves import Leave, Leaves
from app.telemetry.logs import log
from app.telemetry.metrics import Metrics

_RETRY_S = 0.25
CANCELED = Failure(ErrorClass.INPUT, "canceled_by_client", "Canceled by the client.")
_SCHEDULED = (Reason.RETRY, Reason.SLEEP, Reason.RUN_AT, Reason.OFF_PEAK)


class Settle:
    """Gives a job back. A database that is away is waited for: paid results are kept until the fence has answered.

    Steps that a job succeeded without are tried again after `mend_after_s`.
    """

    def __init__(self, leaves: Leaves, progress: Progress, metrics: Metrics, clock: Clock, mend_after_s: float) -> None:
        self._leaves = leaves
        self._mend_after_s = mend_after_s
        self._progress = progress
        self._metrics = metrics
        self._clock = clock

    async def outcome(
        self, job: Claimed, outcome: Outcome, base: Usage, base_cost_nanos: int, known: Known | None = None
    ) -> Moved | None:
        """Write how the run ended; None when the job is no longer this worker's.

        `base` is what the job had used before this run, `base_cost_nanos` what this attempt had cost before it;
        `known` is the output that it was given in place of its own.
        """
        leave = _leave(job, outcome, base + outcome.usage, base_cost_nanos + outcome.usage.cost_nanos)
        incomplete = isinstance(outcome, Succeeded) and outcome.incomplete
        leave = replace(leave, known=known, mend_after_s=self._mend_after_s if incomplete else None)
        moved = await self.write(leave)
        if moved is None and not leave.status.terminal:
            # A park is refused when a cancel came first; then the cancel is honoured.
            return await self.canceled(job, base + outcome.usage, leave.attempt_cost_nanos)
        return moved

    async def canceled(self, job: Claimed, usage: Usage, attempt_cost_nanos: int) -> Moved | None:
        """End a job that was told to cancel."""
        return await self.write(
            Leave(job, Status.CANCELED, error=CANCELED, usage=usage, attempt_cost_nanos=attempt_cost_nanos)
        )

    async def given_back(self, job: Claimed, usage: Usage, attempt_cost_nanos: int) -> Moved | None:
        """Queue a job again that this worker cannot finish because it stops; nothing is charged."""
        due = self._clock.now()
        return await self.write(
            Leave(job, Status.QUEUED, due_at=due, usage=usage, attempt_cost_nanos=attempt_cost_nanos)
        )

    async def write(self, leave: Leave) -> Moved | None:
        """Write until the database answers; with the job's last word of progress."""
        leave = replace(leave, said=self._progress.last_word(leave.job))
        began = self._clock.monotonic()
        while True:
            try:
                moved = await self._leaves.leave(leave)
                break
            except StoreAway as error:
                log("jobs").warning("settle waits", error=str(error))
                await self._clock.sleep(_RETRY_S)
        if moved is not None:
            now, waited_s = self._clock.now(), self._clock.monotonic() - began
            self._metrics.left(leave.job, leave.status, leave.reason, leave.error, now, waited_s)
        return moved


def _leave(job: Claimed, outcome: Outcome, usage: Usage, cost_nanos: int) -> Leave:
    if isinstance(outcome, Succeeded):
        return Leave(
            job, Status.SUCCEEDED, output=outcome.output, degraded=outcome.degraded, usage=usage,
            attempt_cost_nanos=cost_nanos,
        )  # fmt: skip
    if isinstance(outcome, Parked):
        status = Status.SCHEDULED if outcome.reason in _SCHEDULED else Status.WAITING
        return Leave(
            job, status, reason=outcome.reason, due_at=outcome.until, error=outcome.failure, usage=usage,
            attempt_cost_nanos=cost_nanos, charged=outcome.charged, pool=outcome.pool,
        )  # fmt: skip
    return _failed(job, outcome, usage, cost_nanos)


def _failed(job: Claimed, outcome: Failed, usage: Usage, cost_nanos: int) -> Leave:
    if outcome.expired:
        return Leave(job, Status.EXPIRED, error=outcome.failure, usage=usage, attempt_cost_nanos=cost_nanos)
    quarantined = outcome.failure.error_class is ErrorClass.INPUT
    disposition = Disposition.QUARANTINE if quarantined else Disposition.DEAD_LETTER
    return Leave(
        job, Status.FAILED, error=outcome.failure, disposition=disposition, usage=usage, attempt_cost_nanos=cost_nanos
    )
