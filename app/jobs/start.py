"""When a new job may start: at its `run_at`, and in the off-peak hours of its lane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.domain.hours import Hours
from app.domain.job import Reason, Status
from app.domain.lane import LANES

# A job that asks for off-peak hours in a lane without any takes those of the slowest lane that has some.
_SLOWEST_FIRST = LANES[::-1]


@dataclass(frozen=True, slots=True)
class Start:
    """The state in which a job begins; `off_peak`: a claim holds it back once its lane's hours are over."""

    status: Status
    reason: Reason | None
    due_at: datetime
    off_peak: bool


def start_of(
    now: datetime, run_at: datetime | None, lane: str, off_peak: bool | None, hours: Mapping[str, Hours]
) -> Start:
    """Where a lane has off-peak hours its jobs wait for them, unless `off_peak` is False; True waits in any lane.

    Without any hours in the configuration there is nothing to wait for.
    """
    wanted = run_at or now
    own = hours.get(lane) if off_peak is not False else None
    taken = own or (_any(hours) if off_peak else None)
    due_at = taken.next_open(wanted) if taken else wanted
    if due_at <= now:
        return Start(Status.QUEUED, None, due_at, own is not None)
    reason = Reason.OFF_PEAK if due_at > wanted else Reason.RUN_AT
    return Start(Status.SCHEDULED, reason, due_at, own is not None)


def _any(hours: Mapping[str, Hours]) -> Hours | None:
    return next((hours[lane] for lane in _SLOWEST_FIRST if lane in hours), None)
