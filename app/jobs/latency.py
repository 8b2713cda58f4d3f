"""How long a workflow's jobs take of late: read at most once in ten seconds for each."""

from __future__ import annotations

import math
from uuid import UUID

from app.domain.clock import Clock
from app.store.reads import Reads, Recent

_FRESH_S = 10.0


class Latency:
    """A small cache over the store's own figures."""

    def __init__(self, reads: Reads, clock: Clock) -> None:
        self._reads = reads
        self._clock = clock
        self._known: dict[tuple[UUID, str], tuple[float, Recent | None]] = {}

    async def recent(self, project_id: UUID, workflow: str) -> Recent | None:
        """Figures of the last 200 succeeded jobs; None before the first."""
        key = (project_id, workflow)
        read_at, recent = self._known.get(key, (float("-inf"), None))
        if self._clock.monotonic() - read_at > _FRESH_S:
            recent = await self._reads.recent(project_id, workflow)
            self._known[key] = (self._clock.monotonic(), recent)
        return recent

    async def retry_after_s(self, project_id: UUID, workflow: str) -> int:
        """When it is worth asking again: the median, between 1 s and a minute."""
        recent = await self.recent(project_id, workflow)
        return min(60, max(1, math.ceil(recent.p50_s))) if recent else 1
