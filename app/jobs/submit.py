"""Submit: the doors in their order, then one durable write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.bell.ring import Ring
from app.bell.wake import Wake
from app.domain import canonical, ids
from app.domain.clock import Clock
from app.domain.crash import crash_here
from app.domain.errors import FieldError, Problem
from app.domain.event import DeliveryStatus, EventType
from app.domain.hours import Hours
from app.domain.job import (
    NO_USAGE,
    CacheMode,
    Job,
    JobWebhook,
    Known,
    NewJob,
    Reason,
    Status,
    TraceContext,
    Usage,
)
from app.engine.workflow import Workflow
from app.gateway.budget import Budgets
from app.jobs.backlog import Backlog
from app.jobs.check import validated
from app.jobs.export import Export
from app.jobs.means import refuse_without_means
from app.jobs.outputs import Find, Outputs
from app.jobs.recover import tell
from app.jobs.start import start_of
from app.store.reads import Reads
from app.store.submissions import (
    BORN_REVISION,
    IdempotencyKey,
    Outcome,
    Submission,
    Submissions,
    Submitted,
    born,
)
from app.telemetry.metrics import Metrics

_LANES = ("interactive", "standard", "bulk")
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


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job that answers, and how it came to; `found` tells of a look for a known output."""

    job: Job
    outcome: Outcome
    found: Find | None = None


class Submit:
    """The submit verb."""

    def __init__(
        self, submissions: Submissions, reads: Reads, backlog: Backlog, outputs: Outputs, ring: Ring, wake: Wake,
        export: Export, clock: Clock, hours: Mapping[str, Hours], metrics: Metrics, budgets: Budgets,
    ) -> None:  # fmt: skip
        self._submissions = submissions
        self._metrics = metrics
        self._budgets = budgets
        self._hours = hours
        self._reads = reads
        self._backlog = backlog
        self._outputs = outputs
        self._ring = ring
        self._wake = wake
        self._export = export
        self._clock = clock

    async def submit(self, request: SubmitRequest) -> Accepted:
        """Store the job and ring its lane; with a known output it has ended. Raises Problem, StoreAway when unknown."""
        submission = self._submission(request)
        found = await self.find(request, submission.job)
        submission = replace(submission, job=_given(submission.job, found.known, request.cache))
        repeated = await self._past_the_doors(request, submission)
        began = self._clock.monotonic()
        result = repeated or await self._store(submission)
        self._metrics.store_seconds.observe(self._clock.monotonic() - began, "submit")
        self._metrics.submitted.add(submission.job.workflow, submission.job.lane, result.outcome)
        if result.outcome is Outcome.CREATED:
            crash_here("submit.committed")
            return Accepted(_fresh(self._told(submission.job, result.behind)), result.outcome, found)
        return await self._earlier(request, result)

    async def find(self, request: SubmitRequest, job: NewJob) -> Find:
        """The output that the job may be given: only one that would start now, and overtakes nobody."""
        if job.status is not Status.QUEUED or job.ordering_key is not None:
            return Find(why_not="bypass")
        return await self._outputs.find(request.workflow, job, max_age_s=request.cache.max_age_s)

    async def repeated(self, project_id: UUID, key: IdempotencyKey) -> Accepted | None:
        """The job that a request with this key once made, whatever the doors would say today. Raises Problem."""
        found = await self._submissions.repeated(project_id, key)
        return await self._answer(project_id, found) if found else None

    def _submission(self, request: SubmitRequest) -> Submission:
        job = new_job(request, self._clock.now(), self._hours)
        dedupe = request.dedupe
        return Submission(job, request.idempotency, dedupe.within_s if dedupe else None)

    def _told(self, job: NewJob, behind: bool) -> NewJob:
        """As it stands in the record, once those were told whom it concerns."""
        if job.known is not None:
            moved = born(job)
            tell([moved], self._ring, self._wake)
            self._export.ended([moved])
        elif behind:
            return replace(job, status=Status.QUEUED, reason=Reason.ORDERING)
        elif job.status is Status.QUEUED:
            self._ring.ring(job.lane)
        return job

    async def _past_the_doors(self, request: SubmitRequest, submission: Submission) -> Submitted | None:
        """Count the job. A known output needs neither money nor a place in the queue; a repetition passes all doors.

        Raises Problem `only_if_cached_miss`, `budget_exhausted`, `queue_full`.
        """
        if submission.job.known is not None:
            return None
        try:
            if request.cache.only:
                raise Problem("only_if_cached_miss", "No output of an equal job is known, and none was to be made.")
            await refuse_without_means(self._budgets, submission.job, self._clock.now())
            self._backlog.admit(submission.job.project_id)
        except Problem:
            earlier = await self._submissions.earlier(submission)
            if earlier is None:
                raise
            return earlier
        return None

    async def _store(self, submission: Submission) -> Submitted:
        """Write it; what is unknown counts as created until the next count tells."""
        if submission.job.known is not None:
            return await self._submissions.submit(submission)
        created = True
        try:
            result = await self._submissions.submit(submission)
            created = result.outcome is Outcome.CREATED
        finally:
            self._backlog.settled(submission.job.project_id, created)
        return result

    async def _earlier(self, request: SubmitRequest, result: Submitted) -> Accepted:
        if result.outcome is Outcome.DUPLICATE and request.dedupe and request.dedupe.reject:
            shown = ids.show("job", result.job_id)
            raise Problem("duplicate_job", f"{shown} is an equal job.", extra={"job_id": shown})
        return await self._answer(request.project_id, result)

    async def _answer(self, project_id: UUID, result: Submitted) -> Accepted:
        if result.outcome is Outcome.KEY_REUSED:
            raise key_reused()
        job = await self._reads.job(project_id, result.job_id)
        if job is None:
            raise Problem("result_expired", "The job of this Idempotency-Key is no longer kept.")
        return Accepted(job, result.outcome)


def key_reused() -> Problem:
    """For a key that came with another body."""
    return Problem("idempotency_key_reused", "This Idempotency-Key came with another body: use a new key.")


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


def _given(job: NewJob, known: Known | None, wish: CacheWish) -> NewJob:
    """With a known output it is born succeeded, and kept from now on."""
    if known is None:
        # Whatever is known until it starts is too old, or was not asked for.
        return job if wish.max_age_s is None else replace(job, cache_mode=job.cache_mode or CacheMode.NO_CACHE)
    return replace(
        job, status=Status.SUCCEEDED, known=known, expires_at=job.created_at + timedelta(seconds=job.retain_s)
    )


def _lane(request: SubmitRequest) -> str:
    """The workflow's lane, or a lower one that the client asked for."""
    own, wanted = request.workflow.lane, request.lane
    if wanted is None:
        return own
    if _LANES.index(wanted) < _LANES.index(own):
        detail = f"The workflow's lane is {own}; a job may be moved down to a slower lane, never up to {wanted}."
        raise Problem("input_invalid", detail, errors=(FieldError("/lane", "input_invalid", detail),))
    return wanted


def _content_hash(request: SubmitRequest, body: bytes) -> bytes | None:
    if request.dedupe is None:
        return None
    what = request.dedupe.key if request.dedupe.key is not None else canonical.load(body, max_depth=900)
    kind = "key" if request.dedupe.key is not None else "content"
    return canonical.digest(kind, request.workflow.name, request.workflow.version, what)


def _after(moment: datetime, seconds: float | None) -> datetime | None:
    return moment + timedelta(seconds=seconds) if seconds is not None else None


def _lowest(*caps: int | None) -> int | None:
    return min((cap for cap in caps if cap is not None), default=None)


def _fresh(job: NewJob) -> Job:
    """The record as a read would give it right after the write."""
    known = job.known
    return Job(
        **{name: getattr(job, name) for name in _SAME},
        submit_reason=job.reason,
        headed_at=None,
        epoch=0,
        revision=BORN_REVISION if known else 1,
        attempt=1,
        started_at=None,
        claimed_at=None,
        ended_at=job.created_at if known else None,
        progress_percent=None,
        progress_step=None,
        error=None,
        disposition=None,
        degraded=[],
        usage=Usage(saved_nanos=known.saved_nanos) if known else NO_USAGE,
        attempts=(),
        output=known.output if known else None,
        webhook_delivery=_delivery(job),
        cancel_requested=False,
        source_job_id=known.source_job_id if known else None,
        source_age_s=known.age_s if known else None,
    )


def _delivery(job: NewJob) -> str | None:
    """A callback that wants to hear of a success is due at once where the job is born with one."""
    wanted = job.known is not None and job.webhook is not None and EventType.JOB_SUCCEEDED in job.webhook.events
    return DeliveryStatus.PENDING if wanted else None


_SAME = (
    "id", "project_id", "workflow", "version", "lane", "priority", "status", "reason", "due_at", "created_at",
    "expires_at", "finish_by", "trace", "tags", "metadata", "input", "content_hash", "test_mode", "simulated",
    "ordering_key",
)  # fmt: skip
