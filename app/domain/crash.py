"""Crash points: named places where a fault test lets a process kill itself; without one armed they do nothing."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

# Each stands between a side effect and its record, or between a commit and what follows from it.
POINTS = (
    "submit.committed",  # stored, its ticket not rung
    "bell.rung",  # the ticket is with Redis, the client has no answer
    "job.claimed",  # owned, not begun
    "step.done",  # the step's side effect happened, its record is not stored
    "children.started",  # a portion of a job's children is stored, their lane not rung, the next portion not stored
    "step.recorded",  # the record is stored, the next step not begun
    "job.settled",  # the end is stored, nobody was told
    "replay.portion",  # a portion of a replay is stored, its lanes not rung, the next portion not begun
    "webhook.sent",  # the receiver answered, its answer is not stored
)


@dataclass(slots=True)
class _Fuse:
    point: str
    passes: int


_fuses: list[_Fuse] = []


def arm(text: str | None) -> None:
    """Kill this process at the point `name`, or `name:N` at its N-th pass; None disarms. Raises ValueError."""
    _fuses.clear()
    if text is None:
        return
    point, _, passes = text.partition(":")
    if point not in POINTS or not (passes or "1").isdecimal() or int(passes or 1) < 1:
        raise ValueError(f"crash_point {text!r} is none of {', '.join(POINTS)}, with :N for the N-th pass")
    _fuses.append(_Fuse(point, int(passes or 1)))


def crash_here(point: str) -> None:
    """End this process with SIGKILL, if this is the armed point and pass."""
    for fuse in _fuses:
        if fuse.point == point:
            fuse.passes -= 1
            if not fuse.passes:
                os.kill(os.getpid(), signal.SIGKILL)
