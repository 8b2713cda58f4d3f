"""The queue cap: how much unstarted work is accepted, in all and for each project."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from app.domain.clock import Clock
from app.domain.errors import Problem
from app.settings import QueueSettings
from app.store.database import StoreAway
from app.store.reads import Reads

_REFRESH_S = 5.0
_RETRY_AFTER_S = 10


class Backlog:
    """Counts every five seconds, and what this process accepted since; a cap is a guard, not a ledger."""

    def __init__(self, reads: Reads, settings: QueueSettings, clock: Clock) -> None:
        self._reads = reads
        self._settings = settings
        self._clock = clock
        self._by_project: dict[UUID, int] = {}

    async def run(self) -> None:
        """Refresh until canceled."""
        while True:
            with suppress(StoreAway):
                self._by_project = await self._reads.unstarted()
            await self._clock.sleep(_REFRESH_S)

    def admit(self, project_id: UUID) -> None:
        """Count one more job. Raises Problem `queue_full`."""
        mine = self._by_project.get(project_id, 0)
        if mine >= self._settings.max_unstarted_per_project:
            raise _full("this project's queue", self._settings.max_unstarted_per_project)
        if sum(self._by_project.values()) >= self._settings.max_unstarted:
            raise _full("the queue", self._settings.max_unstarted)
        self._by_project[project_id] = mine + 1

    def forget(self, project_id: UUID) -> None:
        """Take back what `admit` counted: no new job came of it."""
        self._by_project[project_id] = max(0, self._by_project.get(project_id, 0) - 1)


def _full(whose: str, cap: int) -> Problem:
    detail = f"{cap} unstarted jobs fill {whose}: submit again later, or raise the limit under [queue]."
    return Problem("queue_full", detail, retry_after_s=_RETRY_AFTER_S)
