"""The queue cap: how much unstarted work is accepted, in all and for each project."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from uuid import UUID

from app.domain.clock import Clock
from app.domain.errors import Problem
from app.settings import QueueSettings
from app.store.database import StoreAway
from app.store.reads import Reads, Unstarted

_REFRESH_S = 1.0
# Counting takes at most this part of the time; but a count that was slow by accident must not stand for half a minute,
# as what has started since is not seen: a project without a backlog would be refused.
_DUTY = 1 / 20
_OLDEST_S = 5.0
# When a tenth of the time has passed that the oldest has waited, about a tenth of the queue has started.
_SHARE = 0.1
_LEAST_S, _MOST_S = 1, 60


class Backlog:
    """Counts each second, and what this process accepted since.

    Several APIs share the cap: what the others accept between two counts is not seen, so by that much it may be passed.
    """

    def __init__(self, reads: Reads, settings: QueueSettings, clock: Clock) -> None:
        self._reads = reads
        self._settings = settings
        self._clock = clock
        self._counted: Mapping[UUID, Unstarted] = {}
        self._accepted: Counter[UUID] = Counter()
        self._in_flight: Counter[UUID] = Counter()

    async def run(self) -> None:
        """Count until canceled; while the database is away the last count stands."""
        while True:
            began = self._clock.monotonic()
            try:
                await self._count()
            except StoreAway:
                await self._clock.sleep(_REFRESH_S)
                continue
            await self._clock.sleep(pause_s(self._clock.monotonic() - began))

    async def _count(self) -> None:
        """What was stored before the count began is in it; what was on its way may be, and counts here as well."""
        stored = self._accepted - self._in_flight
        self._counted = await self._reads.unstarted()
        self._accepted -= stored

    def unstarted(self, project_id: UUID) -> int:
        """The project's jobs that have not started, as far as this process knows."""
        counted = self._counted.get(project_id)
        return (counted.count if counted else 0) + self._accepted[project_id]

    def admit(self, project_id: UUID) -> None:
        """Count one more job; `settled` must follow. Raises Problem `queue_full`."""
        if self.unstarted(project_id) >= self._settings.max_unstarted_per_project:
            mine = [self._counted[project_id]] if project_id in self._counted else []
            raise _full("this project's queue", self._settings.max_unstarted_per_project, mine)
        if _total(self._counted.values()) + self._accepted.total() >= self._settings.max_unstarted:
            raise _full("the queue", self._settings.max_unstarted, self._counted.values())
        self._accepted[project_id] += 1
        self._in_flight[project_id] += 1

    def settled(self, project_id: UUID, created: bool) -> None:
        """What `admit` counted is on its way no more; unless it was `created` it counts no more, too."""
        self._in_flight[project_id] -= 1
        if not created:
            self._accepted[project_id] -= 1


def pause_s(took_s: float) -> float:
    """Seconds until the next count, after one that took so long."""
    return min(_OLDEST_S, max(_REFRESH_S, took_s / _DUTY))


def _total(found: Collection[Unstarted]) -> int:
    return sum(one.count for one in found)


def _full(whose: str, cap: int, found: Collection[Unstarted]) -> Problem:
    detail = f"{cap} unstarted jobs fill {whose}: submit again later, or raise the limit under [queue]."
    return Problem("queue_full", detail, retry_after_s=_retry_after_s(found))


def _retry_after_s(found: Collection[Unstarted]) -> int:
    """By the age of the oldest that may start; where none may, there is no room soon."""
    oldest_s = max((one.oldest_s for one in found if one.oldest_s is not None), default=None)
    if oldest_s is None:
        return _MOST_S
    return min(_MOST_S, max(_LEAST_S, math.ceil(oldest_s * _SHARE)))
