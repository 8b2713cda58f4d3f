"""The life of a job as it should be: a few words for each job, moved by the one table of transitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from app.domain.job import TERMINAL, TRANSITIONS, UNCLAIMED, Reason, Status, Verb, allowed

# So many deaths within so many seconds end a job, and with one fewer it is run apart from others of its kind.
DEATHS = 3
DEATH_WINDOW_S = 72 * 3600.0
NEVER = float("inf")
TAKES_CHILDREN = TERMINAL - {Status.SUCCEEDED}


@dataclass(slots=True, eq=False)
class Spawn:
    """The children of one step; `open` of them have not ended."""

    id: UUID
    children: list[Life]
    open: int
    awaited: bool = True
    retired: bool = False
    canceling: bool = False
    reviving: bool = False


@dataclass(slots=True, eq=False)
class Life:
    """Times are in seconds of the model's clock. `holder` is the worker that owns it; `ends` counts its end events.

    `held`: another is before it under its ordering key; `status_in_line` and `due_in_line` are for when it is not.
    """

    id: UUID
    status: Status = Status.QUEUED
    reason: Reason | None = None
    due_at: float = 0.0
    hooked: bool = False
    key: str | None = None
    held: bool = False
    status_in_line: Status = Status.QUEUED
    due_in_line: float = 0.0
    start_within_s: float | None = None
    finish_within_s: float | None = None
    finish_by: float | None = None
    expire_by: float | None = None
    off_peak: bool = False
    parent: Life | None = None
    epoch: int = 0
    attempt: int = 1
    claimed: bool = False
    holder: int | None = None
    cancel: bool = False
    deaths: list[float] = field(default_factory=list)
    ends: int = 0
    steps: dict[str, bytes] = field(default_factory=dict)
    spawns: list[Spawn] = field(default_factory=list)

    @property
    def suspect(self) -> bool:
        return len(self.deaths) >= DEATHS - 1

    @property
    def live(self) -> bool:
        return not self.status.terminal

    @property
    def spawn(self) -> Spawn | None:
        """The one that is not retired."""
        return next((one for one in self.spawns if not one.retired), None)

    def owned(self, epoch: int) -> bool:
        """Whether who claimed it at that epoch still owns it."""
        return self.status is Status.RUNNING and self.epoch == epoch


class World:
    """All jobs of one run, and its clock; each act does to them what the store should do."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lives: list[Life] = []

    def claimable(self, life: Life, *, off_peak: bool) -> bool:
        due = life.status in UNCLAIMED and not life.held and life.due_at <= self.now
        return due and (off_peak or not life.off_peak)

    def submit(self, life: Life) -> None:
        """A new job: at the head of its key, or held."""
        assert allowed(Verb.SUBMIT, None, life.status)
        self._join(life)
        self.lives.append(life)

    def claim(self, life: Life, worker: int) -> None:
        self._move(life, Verb.CLAIM, Status.RUNNING)
        life.epoch, life.holder, life.claimed = life.epoch + 1, worker, True
        life.expire_by, life.off_peak = None, False

    def leave(self, life: Life, status: Status, reason: Reason | None, due_at: float, *, charged: bool) -> None:
        """A worker ends or parks it."""
        if status.terminal:
            life.cancel = False
            self._move(life, Verb.SETTLE, status)
            return
        self._move(life, Verb.PARK, status)
        life.epoch, life.due_at, life.expire_by = life.epoch + 1, due_at, life.finish_by
        life.reason, life.attempt, life.claimed = reason, life.attempt + charged, not charged
        alone = any(one.awaited and not one.retired and one.open == 0 for one in life.spawns)
        if reason is Reason.CHILDREN and alone:
            life.due_at = self.now

    def recover(self, life: Life, *, died: bool) -> None:
        recent = [at for at in life.deaths if at > self.now - DEATH_WINDOW_S]
        life.deaths = [*recent, self.now] if died else recent
        dead = Status.FAILED if len(life.deaths) >= DEATHS else Status.QUEUED
        after = Status.CANCELED if life.cancel else dead
        life.epoch += 1
        self._move(life, Verb.RECOVER, after)
        if life.live:
            life.due_at, life.expire_by = min(life.due_at, self.now), life.finish_by

    def cancel(self, life: Life) -> None:
        """End it, or flag it while it runs; an end stands."""
        if life.status is Status.RUNNING:
            life.cancel = True
        elif life.live:
            life.epoch += 1
            self._move(life, Verb.CANCEL, Status.CANCELED)

    def expire(self) -> None:
        """End what its client's clock has ended."""
        for life in self.lives:
            if life.status in UNCLAIMED and life.expire_by is not None and life.expire_by <= self.now:
                life.epoch += 1
                self._move(life, Verb.EXPIRE, Status.EXPIRED)

    def retry(self, life: Life, *, from_start: bool) -> None:
        self._move(life, Verb.RETRY, Status.QUEUED)
        life.epoch, life.attempt, life.claimed = life.epoch + 1, life.attempt + life.claimed, False
        life.due_at, life.cancel, life.deaths = self.now, False, []
        self._join(life)
        life.finish_by = None if life.finish_within_s is None else self.now + life.finish_within_s
        clocks = [one for one in (life.start_within_s, life.finish_within_s) if one is not None]
        life.expire_by = self.now + min(clocks) if clocks else None
        if from_start:
            life.steps.clear()
        for spawn in self._spawns_of(life):
            spawn.open += 1
        for spawn in [one for one in life.spawns if not one.retired]:
            if from_start:
                spawn.retired, spawn.canceling = True, spawn.open > 0
            else:
                spawn.canceling, spawn.reviving = False, spawn.reviving or spawn.awaited

    def bear(self, parent: Life, spawn: Spawn, children: Sequence[UUID]) -> None:
        """Children, queued, under their parent's clock."""
        clock = parent.finish_by
        spawn.children = [
            Life(child, due_at=self.now, parent=parent, finish_by=clock, expire_by=clock) for child in children
        ]
        spawn.open = len(children)
        self.lives += spawn.children

    def revive(self, parent: Life, spawn: Spawn) -> None:
        """Its canceled children go on."""
        for child in spawn.children:
            if child.status is Status.CANCELED:
                self.retry(child, from_start=False)
                child.finish_by = child.expire_by = parent.finish_by
        spawn.reviving = False

    def sweep(self) -> None:
        """The children of lost parents follow; spawns that are over are forgotten."""
        for spawn in [spawn for life in self.lives for spawn in life.spawns if spawn.canceling]:
            for child in spawn.children:
                self.cancel(child)
            spawn.canceling = False
        for life in self.lives:
            life.spawns = [one for one in life.spawns if not (one.retired and one.open == 0)]

    def _move(self, life: Life, verb: Verb, after: Status) -> None:
        assert allowed(verb, life.status, after), f"{verb}: {life.status} to {after}"
        was_live = life.live
        life.status, life.reason, life.holder = after, None, None
        if was_live and not life.live:
            self._end(life)

    def _end(self, life: Life) -> None:
        life.ends += 1
        life.expire_by = None
        was_head, life.held = not life.held, False
        following = [one for one in self.lives if one.live and one.held and one.key == life.key]
        if life.key and was_head and following:
            self._promote(following[0])
        for spawn in self._spawns_of(life):
            spawn.open -= 1
            self._wake(life.parent, spawn)
        for spawn in life.spawns:
            spawn.canceling |= life.status in TAKES_CHILDREN and not spawn.retired and spawn.open > 0

    def _join(self, life: Life) -> None:
        """Held, where another is at the head of its key."""
        life.status_in_line, life.due_in_line = life.status, life.due_at
        others = (one for one in self.lives if one.key == life.key and one is not life)
        life.held = life.key is not None and any(one.live and not one.held for one in others)
        if life.held:
            life.status, life.due_at = Status.QUEUED, NEVER

    def _promote(self, life: Life) -> None:
        life.held, life.status, life.due_at = False, life.status_in_line, life.due_in_line

    def _wake(self, parent: Life | None, spawn: Spawn) -> None:
        if parent and spawn.open == 0 and parent.status is Status.WAITING and parent.reason is Reason.CHILDREN:
            parent.due_at = min(parent.due_at, self.now)

    def _spawns_of(self, child: Life) -> list[Spawn]:
        return [one for one in child.parent.spawns if child in one.children] if child.parent else []


def reachable(before: Status, moves: int) -> set[Status]:
    """The states that so many moves of the table may lead to."""
    found = {before}
    for _ in range(moves):
        found |= {after for sources, targets in TRANSITIONS.values() for after in targets if sources & found}
    return found
