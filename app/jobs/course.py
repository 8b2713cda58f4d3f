"""A job's own spans: the job, its attempts, its waits. The timeline shows them, the exporter sends the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from uuid import UUID

from app.domain.job import Reason, Status, TraceContext
from app.domain.spans import attempt_span_id, wait_span_id

QUEUED = "queued"
OVER = "ended"
# The due time of who stands behind another of its ordering key.
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of the job, which had been due since `due_at`; `ended_at` is None while it runs.

    One that ended in a park says in `reason` what the job waited for then; `step` and `detail` are those of its error.
    """

    n: int
    status: str
    due_at: datetime
    started_at: datetime
    ended_at: datetime | None
    reason: str | None = None
    error: str | None = None
    cost_nanos: int = 0
    step: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """What a job went through so far; `due_at` is when it last became due.

    `submit_reason`: why it was not due at once; `headed_at`: when it came to the head of its ordering key.
    """

    job_id: UUID
    workflow: str
    status: Status
    reason: str | None
    error: str | None
    created_at: datetime
    due_at: datetime
    ended_at: datetime | None
    trace: TraceContext
    claims: tuple[Claim, ...]
    submit_reason: str | None = None
    headed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OwnSpan:
    """A span of kind job, attempt or wait; `claims` were made before it ended."""

    kind: str
    name: str
    id: str
    parent_id: str | None
    status: str
    started_at: datetime
    ended_at: datetime | None
    claims: int
    error: str | None = None
    n: int | None = None
    cost_nanos: int = 0
    step: str | None = None
    detail: str | None = None


def own_spans(course: Course) -> list[OwnSpan]:
    """All of them, as far as they have come."""
    return [_whole(course), *_waits(course), *_attempts(course)]


def new_spans(course: Course) -> list[OwnSpan]:
    """Those that were not there when the job ended before; the job itself, which goes on, is among them again."""
    old = max((n for n, claim in enumerate(course.claims[:-1], 1) if _retried(claim)), default=0)
    waits = [span for span in _waits(course) if span.claims >= old]
    return [_whole(course), *waits, *(span for span in _attempts(course) if span.claims > old)]


def _whole(course: Course) -> OwnSpan:
    place, count = course.trace, len(course.claims)
    return OwnSpan(
        "job", course.workflow, place.span_id, place.parent_span_id, course.status, course.created_at, course.ended_at,
        count, course.error,
    )  # fmt: skip


def _attempts(course: Course) -> Iterator[OwnSpan]:
    """One for each number; a park or a lost worker does not end an attempt."""
    count = 0
    for n, group in groupby(course.claims, key=lambda claim: claim.n):
        claims = list(group)
        count += len(claims)
        last = claims[-1]
        goes_on = count == len(course.claims) and not _ends(last)
        status, ended_at = (course.status, course.ended_at) if goes_on else (last.status, last.ended_at)
        error = course.error if goes_on and course.ended_at else last.error
        id, cost = attempt_span_id(course.job_id, n), max(claim.cost_nanos for claim in claims)
        yield OwnSpan(
            "attempt", f"attempt {n}", id, course.trace.span_id, status, claims[0].started_at, ended_at, count,
            error, n, cost,
        )  # fmt: skip


def _ends(claim: Claim) -> bool:
    """Whether the attempt was over with this claim: it failed and was charged, or the job ended."""
    return claim.status in (Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EXPIRED)


def _retried(claim: Claim) -> bool:
    """Whether the job had ended with this claim, and the client asked for a retry."""
    return _ends(claim) and claim.reason is None


def _waits(course: Course) -> Iterator[OwnSpan]:
    """The time the job spent unclaimed: before its first claim, between claims, since the last one."""
    before: Claim | None = None
    for count, claim in enumerate(course.claims):
        yield from _gap(course, before, claim.due_at, claim.started_at, count, claim.n)
        before = claim
    if before is None or (before.ended_at is not None and before.ended_at != course.ended_at):
        yield from _gap(course, before, course.due_at, course.ended_at, len(course.claims), None)


def _gap(
    course: Course, before: Claim | None, due_at: datetime, until: datetime | None, count: int, n: int | None
) -> Iterator[OwnSpan]:
    """First its time behind others of its ordering key, then what the job waited for, then its time in the queue."""
    since, reason = _beginning(course, before, due_at)
    if since >= (until or _NEVER):
        return
    within = before is not None and not _ends(before) and n in (None, before.n)
    parent = attempt_span_id(course.job_id, before.n) if before and within else course.trace.span_id

    def wait(name: str, start: datetime, end: datetime | None) -> OwnSpan:
        id, whose = wait_span_id(course.job_id, count, name), before if name == reason else None
        return OwnSpan(
            "wait", name, id, parent, OVER if end else course.status, start, end, count,
            step=whose.step if whose else None, detail=whose.detail if whose else None,
        )  # fmt: skip

    if due_at >= _NEVER:
        yield wait(Reason.ORDERING, since, until)
        return
    if (headed_at := _headed_at(course, since, until)) is not None:
        yield wait(Reason.ORDERING, since, headed_at)
        since = headed_at
    if reason is not None and due_at > since:
        yield wait(reason, since, None if until is None else min(due_at, until))
        if until is not None and until > due_at:
            yield wait(QUEUED, due_at, until)
    elif since != until:
        yield wait(QUEUED, since, until)


def _headed_at(course: Course, since: datetime, until: datetime | None) -> datetime | None:
    """When it came to the head of its ordering key, if that was within this wait."""
    at = course.headed_at
    return at if at is not None and since < at and (until is None or at <= until) else None


def _beginning(course: Course, before: Claim | None, due_at: datetime) -> tuple[datetime, str | None]:
    """When a wait began, and why the job was not due at once."""
    if before is None:
        return course.created_at, course.submit_reason
    if _retried(before):
        # It had ended; when the client asked for the retry, it became due.
        return due_at, None
    return before.ended_at or due_at, before.reason
