"""The life of a job as it should be: a few words for each job, moved by the one table of transitions."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from app.domain.job import TRANSITIONS, UNCLAIMED, Status, Verb, allowed

# So many deaths end a job, and with one fewer it is run apart from others of its kind.
DEATHS = 3


@dataclass(slots=True)
class Life:
    """`holder` is the worker that owns it; `due` whether a claim may take it; `ends` counts its end events."""

    id: UUID
    status: Status = Status.QUEUED
    epoch: int = 0
    holder: int | None = None
    due: bool = True
    cancel: bool = False
    deaths: int = 0
    ends: int = 0
    steps: dict[str, bytes] = field(default_factory=dict)

    @property
    def claimable(self) -> bool:
        return self.status in UNCLAIMED and self.due

    @property
    def suspect(self) -> bool:
        return self.deaths >= DEATHS - 1

    def owned(self, epoch: int) -> bool:
        """Whether who claimed it at that epoch still owns it."""
        return self.status is Status.RUNNING and self.epoch == epoch

    def claim(self, worker: int) -> None:
        self._move(Verb.CLAIM, Status.RUNNING)
        self.epoch, self.holder = self.epoch + 1, worker

    def leave(self, status: Status, *, due: bool) -> None:
        """A worker ends or parks it."""
        self._move(Verb.SETTLE if status.terminal else Verb.PARK, status)
        self.epoch += 0 if status.terminal else 1
        self.due, self.cancel = due, False

    def recover(self, *, died: bool) -> None:
        self.deaths += died
        after = Status.FAILED if self.deaths >= DEATHS else Status.QUEUED
        self._move(Verb.RECOVER, Status.CANCELED if self.cancel else after)
        self.epoch, self.due = self.epoch + 1, True

    def ask_to_cancel(self) -> None:
        """End it, or flag it while it runs; an end stands."""
        if self.status is Status.RUNNING:
            self.cancel = True
        elif not self.status.terminal:
            self._move(Verb.CANCEL, Status.CANCELED)
            self.epoch += 1

    def retry(self, *, from_start: bool) -> None:
        self._move(Verb.RETRY, Status.QUEUED)
        self.epoch, self.due, self.cancel, self.deaths = self.epoch + 1, True, False, 0
        if from_start:
            self.steps.clear()

    def _move(self, verb: Verb, after: Status) -> None:
        assert allowed(verb, self.status, after), f"{verb}: {self.status} to {after}"
        self.status, self.holder = after, None
        self.ends += after.terminal


def reachable(before: Status, moves: int) -> set[Status]:
    """The states that so many moves of the table may lead to."""
    found = {before}
    for _ in range(moves):
        found |= {after for sources, targets in TRANSITIONS.values() for after in targets if sources & found}
    return found
