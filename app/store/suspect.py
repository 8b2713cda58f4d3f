"""Suspects: jobs on their last life, of which a process runs one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

# A job that was running at two deaths, and finished no step between, may be their cause. If all that died with it ran
# together once more, the next death would take them all along; one by one, the third death is the culprit's own. A
# finished step acquits a job: its deaths count no more, and the next suspect may run.
SUSPECT = "coalesce(cardinality(deaths), 0) >= 2"


class Suspects:
    """The suspects in this process's hands, at most one, and the one flush that may be claiming one."""

    def __init__(self) -> None:
        self._held: set[UUID] = set()
        self._looking = False

    @contextmanager
    def looking(self) -> Iterator[bool]:
        """Whether the claim in this block may take a suspect; one block at a time may."""
        mine = not self._held and not self._looking
        self._looking = self._looking or mine
        try:
            yield mine
        finally:
            if mine:
                self._looking = False

    def hold(self, job_ids: Iterable[UUID]) -> None:
        """These were claimed."""
        self._held.update(job_ids)

    def let_go(self, job_id: UUID) -> None:
        """The process runs this job no more."""
        self._held.discard(job_id)
