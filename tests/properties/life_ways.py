"""Every way in which a worker may leave a job, from the table of transitions."""

from __future__ import annotations

from datetime import datetime

from app.domain.errors import Disposition, ErrorClass, Failure
from app.domain.job import REASONS, TRANSITIONS, Reason, Status, Verb
from app.store.leaves import Leave
from tests.properties.life_stage import Held

# A worker gives back what another decides: nobody leaves a job as paused or behind its ordering key.
_NOT_ITS_OWN = (Reason.PAUSED, Reason.ORDERING)
WAYS = [
    (status, reason)
    for verb in (Verb.SETTLE, Verb.PARK)
    for status in sorted(TRANSITIONS[verb][1])
    for reason in sorted(REASONS[status], key=str)
    if reason not in _NOT_ITS_OWN
]
Way = tuple[Status, Reason | None]
ENDS = [way for way in WAYS if way[0].terminal]
OFTEN = [(Status.SCHEDULED, Reason.RETRY)] * 3
_FAILURE = Failure(ErrorClass.TRANSIENT, "dependency_failed", "no")


def leave_of(held: Held, status: Status, reason: Reason | None, due_at: datetime, *, charged: bool) -> Leave:
    """That way, with what the job has used by then."""
    ended_badly = status.terminal and status is not Status.SUCCEEDED
    return Leave(
        held.job,
        status,
        reason=reason,
        due_at=None if status.terminal else due_at,
        output=b"1" if status is Status.SUCCEEDED else None,
        error=_FAILURE if ended_badly or charged else None,
        disposition=Disposition.DEAD_LETTER if status is Status.FAILED else None,
        usage=held.usage,
        attempt_cost_nanos=held.cost_nanos,
        charged=charged,
    )
