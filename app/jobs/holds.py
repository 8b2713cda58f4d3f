"""The jobs in this worker's hands, each under the epoch of its claim, so that a late run is told from a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from app.domain.job import Claimed
from app.engine.journal import OwnershipLost

T = TypeVar("T")
# A step that goes on for this long is worth telling of; and no more steps than this in all.
_LONG = timedelta(seconds=1)
_MOST = 500
Owned = tuple[UUID, int]
"""A job and the epoch under which it is owned."""


@dataclass(slots=True)
class Hold:
    """`canceled`: the client wants its end; `lost`: another worker may have it, nothing is written any more.

    `doing`: the steps, by name and key, whose try goes on, and since when.
    """

    task: asyncio.Task[Any] | None = None
    canceled: bool = False
    lost: bool = False
    doing: dict[tuple[str, str], datetime] = field(default_factory=dict)


class Holds:
    """Filled at a claim, emptied when the run is over, whatever came of it."""

    def __init__(self) -> None:
        self._holds: dict[Owned, Hold] = {}

    @property
    def owned(self) -> frozenset[Owned]:
        """What this worker knows that it owns."""
        return frozenset(self._holds)

    def doing(self, now: datetime) -> dict[str, list[list[str]]]:
        """By job id (hexadecimal): name, key and beginning of each step that goes on for a second or more."""
        found: dict[str, list[list[str]]] = {}
        long = (
            (job_id, step, since)
            for (job_id, _), hold in self._holds.items()
            for step, since in hold.doing.items()
            if now - since >= _LONG
        )
        for job_id, step, since in islice(long, _MOST):
            found.setdefault(job_id.hex, []).append([*step, since.isoformat()])
        return found

    def add(self, job: Claimed) -> None:
        """The job was claimed."""
        self._holds[job.id, job.epoch] = Hold()

    def remove(self, job: Claimed) -> None:
        """Its run is over."""
        del self._holds[job.id, job.epoch]

    def of(self, job: Claimed) -> Hold:
        """How this claim stands."""
        return self._holds[job.id, job.epoch]

    async def perform(self, job: Claimed, work: Coroutine[Any, Any, T]) -> T:
        """Run it as a task that `cancel` and `drop_all_but` reach. Raises OwnershipLost when it was dropped before."""
        hold = self.of(job)
        if hold.lost:
            work.close()
            raise OwnershipLost
        task = asyncio.get_running_loop().create_task(work)
        hold.task = task
        return await task

    def cancel(self, job_ids: Iterable[UUID]) -> None:
        """Interrupt these jobs, if they run here, at their next await."""
        wanted = frozenset(job_ids)
        for (job_id, _), hold in self._holds.items():
            if job_id in wanted and hold.task is not None and not hold.canceled:
                hold.canceled = True
                hold.task.cancel()

    def drop_all_but(self, owned: Collection[Owned]) -> int:
        """Interrupt what is no longer this worker's; how many."""
        lost = [hold for identity, hold in self._holds.items() if identity not in owned and not hold.lost]
        for hold in lost:
            hold.lost = True
            if hold.task is not None:
                hold.task.cancel()
        return len(lost)
