"""Operations: one act upon many jobs, worked off in portions; and the words for which dead letters are meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.domain.errors import Disposition, ErrorClass


class OperationKind(StrEnum):
    """What is done to the jobs."""

    REPLAY = "dead_letters.replay"


class OperationStatus(StrEnum):
    """`running` until the last portion is done."""

    RUNNING = "running"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Which:
    """Which failed jobs are meant: all that is not None must fit. `since` and `until` bound the time of their end.

    `workflows` are those that the caller's key is bound to.
    """

    disposition: Disposition | None = Disposition.DEAD_LETTER
    workflow: str | None = None
    version: str | None = None
    step: str | None = None
    error_class: ErrorClass | None = None
    error_code: str | None = None
    tag: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    job_ids: tuple[UUID, ...] | None = None
    workflows: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """Run these again: over their finished steps, or from the start; in their own version, or in `version`."""

    which: Which
    from_start: bool = False
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """How far an operation is. `total` jobs were meant at its start, `done` of them were acted on.

    `reason` says why a running one does not go on now.
    """

    id: UUID
    project_id: UUID
    key_id: UUID | None
    kind: OperationKind
    replay: Replay
    total: int
    done: int
    portions: int
    status: OperationStatus
    reason: str | None
    created_at: datetime
    ended_at: datetime | None

    @property
    def skipped(self) -> int:
        """Jobs that were meant and were no dead letters any more when their turn came; known at the end."""
        return self.total - self.done if self.status is OperationStatus.COMPLETED else 0


@dataclass(frozen=True, slots=True)
class Cause:
    """Failed jobs that have everything in common but their input; `detail` is the newest one's, `samples` are newest.

    `count` of them ended between `first_at` and `last_at`.
    """

    disposition: Disposition
    workflow: str
    version: str
    step: str | None
    error_class: ErrorClass
    error_code: str
    count: int
    first_at: datetime
    last_at: datetime
    detail: str
    samples: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to how many jobs, and to which, or to which tags of the cache; `replay` is what was asked for."""

    id: UUID
    at: datetime
    key_id: UUID | None
    action: str
    operation_id: UUID | None
    count: int
    job_ids: tuple[UUID, ...]
    replay: Replay | None
    tags: tuple[str, ...] = ()
