"""The shapes of HTTP answers about many jobs: dead letters by cause, operations, the audit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from app.domain.errors import Disposition, ErrorClass
from app.routers.shapes import Answer


class Cause(Answer):
    """Failed jobs that have everything in common but their input; `detail` is the newest one's."""

    disposition: Disposition
    workflow: str
    version: str
    step: str | None
    error_class: ErrorClass
    error_code: str
    count: int
    first_at: AwareDatetime
    last_at: AwareDatetime
    detail: str
    sample_job_ids: list[str]


class CausePage(Answer):
    """Dead letters by cause, the most frequent first; `total` jobs in all."""

    data: list[Cause]
    total: int
    next_cursor: str | None
    has_more: bool


class OperationUrls(Answer):
    """Where to go from here."""

    self: str
    audit: str


class Operation(Answer):
    """An act upon many jobs: `done` of `total` so far; `skipped` were no dead letters any more.

    `reason` says why a running one does not go on now: `queue_full`.
    """

    id: Annotated[str, Field(pattern="^op_[0-9a-z]{26}$")]
    object: Literal["operation"]
    kind: str
    status: Literal["running", "completed"]
    terminal: bool
    reason: str | None
    total: int
    done: int
    skipped: int
    portions: int
    filter: dict[str, Any] | None
    from_: Annotated[str | None, Field(alias="from")]
    version: str | None
    key_id: str | None
    created_at: AwareDatetime
    ended_at: AwareDatetime | None
    urls: OperationUrls


class AuditEntry(Answer):
    """Who did what to how many jobs, or to which `tags` of the cache; `job_ids` where they were asked for."""

    id: Annotated[str, Field(pattern="^aud_[0-9a-z]{26}$")]
    at: AwareDatetime
    action: str
    key_id: str | None
    operation_id: str | None
    count: int
    job_ids: list[str] | None
    tags: list[str]
    request: dict[str, Any] | None


class AuditPage(Answer):
    """A page of the audit, newest first."""

    data: list[AuditEntry]
    next_cursor: str | None
    has_more: bool


class Invalidation(Answer):
    """What was kept under these tags until `at`, and what was being made then, is given to nobody who asks later."""

    object: Literal["cache_invalidation"]
    tags: list[str]
    at: AwareDatetime


ANSWERS: tuple[type[Answer], ...] = (CausePage, Operation, AuditPage, Invalidation)
