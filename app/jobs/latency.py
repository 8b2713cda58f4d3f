"""How long a workflow's jobs take of late: read at most once in ten seconds for each, in one before the first."""

from __future__ import annotations

import math
from collections.abc import Callable
from uuid import UUID

from app.domain.clock import Clock
from app.domain.job import Job, Reason, Status
from app.store.database import StoreAway
from app.store.reads import Reads, Recent

_FRESH_S, _FRESH_NONE_S = 10.0, 1.0
_MOST_S, _MOST_QUEUED_S, _MOST_PARKED_S = 60, 300, 3600


class Latency:
    """A small cache over the store's own figures. `queue_s` tells how long a lane takes for what is due in it."""

    def __init__(self, reads: Reads, queue_s: Callable[[str], float | None], clock: Clock) -> None:
        self._reads = reads
        self._queue_s = queue_s
        self._clock = clock
        self._known: dict[tuple[UUID, str], tuple[float, Recent | None]] = {}

    async def recent(self, project_id: UUID, workflow: str) -> Recent | None:
        """Figures of the last 200 succeeded jobs; None before the first."""
        key = (project_id, workflow)
        read_at, recent = self._known.get(key, (float("-inf"), None))
        if self._clock.monotonic() - read_at > (_FRESH_S if recent else _FRESH_NONE_S):
            # One asks, the others go on with what is known.
            self._known[key] = (self._clock.monotonic(), recent)
            recent = await self._reads.recent(project_id, workflow)
            self._known[key] = (self._clock.monotonic(), recent)
        return recent

    async def retry_after_s(self, job: Job) -> int:
        """When it is worth asking again.

        After the median, 1 s to a minute; for a queued job after what its lane takes for what is due in it, up to five
        minutes; at a scheduled one's start, or when the budget turns that holds it, up to an hour.
        """
        try:
            recent = await self.recent(job.project_id, job.workflow)
        except StoreAway:
            recent = None
        usual = min(_MOST_S, max(1, math.ceil(recent.p50_s))) if recent else 1
        if job.status is Status.QUEUED:
            return min(_MOST_QUEUED_S, max(usual, math.ceil(self._queue_s(job.lane) or 0)))
        if job.status is not Status.SCHEDULED and job.reason is not Reason.BUDGET:
            return usual
        return min(_MOST_PARKED_S, max(usual, math.ceil((job.due_at - self._clock.now()).total_seconds())))
