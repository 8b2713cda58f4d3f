"""Submit: the doors in their order, then one durable write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from app.bell.ring import Ring
from app.bell.wake import Wake
from app.domain import ids
from app.domain.clock import Clock
from app.domain.crash import crash_here
from app.domain.errors import Problem
from app.domain.event import DeliveryStatus, EventType
from app.domain.hours import Hours
from app.domain.job import (
    NO_USAGE,
    CacheMode,
    Job,
    Known,
    NewJob,
    Reason,
    Status,
    Usage,
)
from app.gateway.budgets.budget import Budgets
from app.jobs.backlog import Backlog
from app.jobs.export import Export
from app.jobs.means import refuse_without_means
from app.jobs.outputs import Find, Outputs
from app.jobs.recover import tell
from app.jobs.wanted import CacheWish, SubmitRequest, new_job
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
        repeated = await self._past_the_doors(request, submission, found)
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

    async def _past_the_doors(self, request: SubmitRequest, submission: Submission, found: Find) -> Submitted | None:
        """Count the job. A known output needs neither money nor a place in the queue; a repetition passes all doors.

        Raises Problem `only_if_cached_miss`, `budget_exhausted`, `queue_full`.
        """
        if submission.job.known is not None:
            return None
        try:
            if request.cache.only:
                detail = "No output of an equal job is known, and none was to be made."
                raise Problem("only_if_cached_miss", detail, headers={"Cache-Status": found.status})
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


def _given(job: NewJob, known: Known | None, wish: CacheWish) -> NewJob:
    """With a known output it is born succeeded, and kept from now on."""
    if known is None:
        # Whatever is known until it starts is too old, or was not asked for.
        return job if wish.max_age_s is None else replace(job, cache_mode=job.cache_mode or CacheMode.NO_CACHE)
    return replace(
        job, status=Status.SUCCEEDED, known=known, expires_at=job.created_at + timedelta(seconds=job.retain_s)
    )


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
