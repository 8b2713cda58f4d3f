"""A submit as it is asked for, and the job that it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.domain import canonical, ids
from app.domain.errors import FieldError, Problem
from app.domain.hours import Hours
from app.domain.job import CacheMode, JobWebhook, NewJob, TraceContext
from app.domain.lane import LANES
from app.engine.workflow import Workflow
from app.jobs.check import validated
from app.jobs.start import start_of
from app.store.submissions import IdempotencyKey

_DEDUPE_WITHIN_S = 3600.0


@dataclass(frozen=True, slots=True)
class Dedupe:
    """What counts as a duplicate: the client's key, or the content where there is none; how young; what then."""

    key: str | None = None
    within_s: float = _DEDUPE_WITHIN_S
    reject: bool = False


@dataclass(frozen=True, slots=True)
class CacheWish:
    """What the client says of known outputs: none older than `max_age_s`, `only` a known one, none at all (`mode`)."""

    mode: CacheMode | None = None
    max_age_s: float | None = None
    only: bool = False


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """A submit after authentication and parsing; durations in seconds, money in nano-dollars."""

    project_id: UUID
    key_id: UUID | None
    test_mode: bool
    simulated: bool
    workflow: Workflow[Any, Any]
    input: Any
    trace: TraceContext
    priority: int = 5
    lane: str | None = None
    run_at: datetime | None = None
    start_within_s: float | None = None
    finish_within_s: float | None = None
    retain_s: float | None = None
    max_cost_nanos: int | None = None
    dedupe: Dedupe | None = None
    on_disconnect: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    webhook: JobWebhook | None = None
    idempotency: IdempotencyKey | None = None
    off_peak: bool | None = None
    ordering_key: str | None = None
    cache: CacheWish = CacheWish()


def new_job(request: SubmitRequest, now: datetime, hours: Mapping[str, Hours]) -> NewJob:
    """The record of a validated submission; `hours` are off-peak hours by lane. Raises Problem that names the field."""
    workflow, lane = request.workflow, _lane(request)
    body = validated(workflow, request.input)
    start = start_of(now, request.run_at, lane, request.off_peak, hours)
    retain_s = request.retain_s or workflow.retain_s
    return NewJob(
        id=ids.uuid7(),
        project_id=request.project_id,
        key_id=request.key_id,
        workflow=workflow.name,
        version=workflow.version,
        lane=lane,
        priority=request.priority,
        status=start.status,
        reason=start.reason,
        due_at=start.due_at,
        input=body,
        trace=request.trace,
        created_at=now,
        expires_at=now + timedelta(seconds=retain_s),
        start_within_s=request.start_within_s,
        finish_within_s=request.finish_within_s,
        start_by=_after(start.due_at, request.start_within_s),
        finish_by=_after(start.due_at, request.finish_within_s),
        retain_s=retain_s,
        max_cost_nanos=_lowest(request.max_cost_nanos, workflow.max_cost_nanos),
        content_hash=_content_hash(request, body),
        on_disconnect=request.on_disconnect,
        tags=request.tags,
        metadata=request.metadata,
        webhook=request.webhook,
        test_mode=request.test_mode,
        simulated=request.simulated,
        off_peak=start.off_peak,
        ordering_key=request.ordering_key,
        cache_mode=request.cache.mode,
    )


def _lane(request: SubmitRequest) -> str:
    """The workflow's lane, or a lower one that the client asked for."""
    own, wanted = request.workflow.lane, request.lane
    if wanted is None:
        return own
    if LANES.index(wanted) < LANES.index(own):
        detail = f"The workflow's lane is {own}; a job may be moved down to a slower lane, never up to {wanted}."
        raise Problem("input_invalid", detail, errors=(FieldError("/lane", "input_invalid", detail),))
    return wanted


def _content_hash(request: SubmitRequest, body: bytes) -> bytes | None:
    if request.dedupe is None:
        return None
    what = request.dedupe.key if request.dedupe.key is not None else canonical.load(body, max_depth=900)
    kind = "key" if request.dedupe.key is not None else "content"
    whose = (request.test_mode, request.simulated, request.workflow.name, request.workflow.version)
    return canonical.digest(kind, *whose, what)


def _after(moment: datetime, seconds: float | None) -> datetime | None:
    return moment + timedelta(seconds=seconds) if seconds is not None else None


def _lowest(*caps: int | None) -> int | None:
    return min((cap for cap in caps if cap is not None), default=None)
