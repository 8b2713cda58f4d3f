"""What was heard of each job in the last seconds: for who begins to watch it just after it began."""

from __future__ import annotations

from collections import deque

from app.domain.clock import SYSTEM_CLOCK, Clock

_AGE_S = 2.0
_MOST_BYTES = 4_000_000
_ENTRY_BYTES = 200


class Recent:
    """By job, its id in hexadecimal: messages in the order they came, no more than there is room for."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._jobs: dict[str, deque[str | bool]] = {}
        self._order: deque[tuple[float, str, int]] = deque()
        self._bytes = 0

    def keep(self, job_id: str, message: str | bool) -> None:
        """The job's deltas as they came, or whether it may have ended."""
        now, size = self._clock.monotonic(), _ENTRY_BYTES + (len(message) if isinstance(message, str) else 0)
        self._jobs.setdefault(job_id, deque()).append(message)
        self._order.append((now, job_id, size))
        self._bytes += size
        while self._bytes > _MOST_BYTES or self._order[0][0] < now - _AGE_S:
            self._drop_oldest()

    def of(self, job_id: str) -> tuple[str | bool, ...]:
        """What was heard of this job."""
        return tuple(self._jobs.get(job_id, ()))

    def _drop_oldest(self) -> None:
        _, job_id, size = self._order.popleft()
        self._bytes -= size
        self._jobs[job_id].popleft()
        if not self._jobs[job_id]:
            del self._jobs[job_id]
