"""A job's own spans, for any history: each once, within its parent, and no moment of the job unaccounted for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import ids
from app.domain.job import Status, TraceContext
from app.jobs.course import Claim, Course, OwnSpan, new_spans, own_spans

START = datetime(2026, 1, 1, tzinfo=UTC)
JOB = ids.uuid7()
PLACE = TraceContext(ids.trace_id(), ids.span_id(), ids.span_id())
# How a claim may end: a park that charges nothing, one that ends the attempt, the worker's death, the end of the job
# with a retry by the client after it.
ENDINGS = st.sampled_from(["sleep", "rate_limit", "retry", "lost", "failed"])
SECONDS = st.integers(0, 3)
# The due time of who stands behind another of its ordering key.
BEHIND = datetime(9999, 1, 1, tzinfo=UTC)


@st.composite
def courses(draw: st.DrawFn) -> Course:
    """A history as the store keeps it, and how far the job is now."""
    n, claims = 1, list[Claim]()
    due_at = START + timedelta(seconds=draw(SECONDS))
    headed_at = draw(st.none() | SECONDS.map(lambda s: START + timedelta(seconds=s)))
    now = headed_at or START
    for ending in draw(st.lists(ENDINGS, max_size=6)):
        started_at = max(now, due_at) + timedelta(seconds=draw(SECONDS))
        now = started_at + timedelta(seconds=draw(st.integers(1, 3)))
        status, reason = {
            "lost": ("lost", None),
            "failed": ("failed", None),
            "retry": ("failed", "retry"),
        }.get(ending, ("parked", ending))
        claims.append(Claim(n, status, due_at, started_at, now, reason))
        n += status == "failed"
        due_at = now + timedelta(seconds=0 if ending == "lost" else draw(SECONDS))
        if ending == "failed":
            now = due_at
    reason = draw(st.sampled_from([None, "run_at", "off_peak"]))
    return replace(draw(_now(now, n, due_at, claims)), submit_reason=reason, headed_at=headed_at)


@st.composite
def _now(draw: st.DrawFn, now: datetime, n: int, due_at: datetime, claims: list[Claim]) -> Course:
    state = draw(st.sampled_from(["waiting", "canceled while waiting", "running", "succeeded"]))
    ended_at = None
    status = Status.WAITING
    if state in ("running", "succeeded"):
        started_at = max(now, due_at) + timedelta(seconds=draw(SECONDS))
        status = Status(state)
        ended_at = started_at + timedelta(seconds=2) if state == "succeeded" else None
        claims.append(Claim(n, status, due_at, started_at, ended_at))
    if state == "canceled while waiting":
        status, ended_at = Status.CANCELED, now + timedelta(seconds=draw(SECONDS))
    if status in (Status.WAITING, Status.CANCELED) and not claims and draw(st.booleans()):
        due_at = BEHIND
    return Course(JOB, "w", status, None, None, START, due_at, ended_at, PLACE, tuple(claims))


def end_of(span: OwnSpan) -> datetime:
    """A span that goes on ends after all others."""
    return span.ended_at or datetime.max.replace(tzinfo=UTC)


@settings(deadline=None)
@given(courses())
def test_each_span_is_there_once_and_lies_within_its_parent(course: Course) -> None:
    spans = own_spans(course)
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans)
    whole = spans[0]
    assert (whole.kind, whole.parent_id) == ("job", course.trace.parent_span_id)
    for span in spans[1:]:
        parent = by_id[span.parent_id or ""]
        assert parent.started_at <= span.started_at <= end_of(span) <= end_of(parent)
        assert (span.ended_at is None) <= (parent.ended_at is None)
    if course.ended_at is not None:
        assert all(span.ended_at is not None for span in spans)


@settings(deadline=None)
@given(courses())
def test_attempts_are_numbered_and_each_begins_with_its_first_claim(course: Course) -> None:
    attempts = [span for span in own_spans(course) if span.kind == "attempt"]
    assert [span.n for span in attempts] == sorted({claim.n for claim in course.claims})
    for span in attempts:
        own = [claim for claim in course.claims if claim.n == span.n]
        assert span.started_at == own[0].started_at
        assert span.claims == len([claim for claim in course.claims if claim.n <= (span.n or 0)])


@settings(deadline=None)
@given(courses())
def test_waits_and_claims_make_up_the_whole_time(course: Course) -> None:
    retried = any(claim.status == "failed" and claim.reason is None for claim in course.claims)
    if course.ended_at is None or retried:
        return
    waits = [span for span in own_spans(course) if span.kind == "wait"]
    pieces = [(span.started_at, span.ended_at) for span in waits]
    pieces += [(claim.started_at, claim.ended_at) for claim in course.claims]
    at = START
    for start, end in sorted(piece for piece in pieces if piece[1] is not None):
        assert start == at
        at = end or at
    assert at == course.ended_at


@settings(deadline=None)
@given(courses())
def test_what_was_sent_at_an_earlier_end_is_not_sent_again_but_the_job(course: Course) -> None:
    if course.ended_at is None:
        return
    ends = [n for n, claim in enumerate(course.claims[:-1], 1) if claim.status == "failed" and claim.reason is None]
    sent: list[str] = []
    for count in ends:
        before = course.claims[:count]
        last = before[-1]
        sent += [
            span.id for span in new_spans(replace(course, claims=before, due_at=last.due_at, ended_at=last.ended_at))
        ]
    sent += [span.id for span in new_spans(course)]
    assert len([id for id in sent if id != course.trace.span_id]) == len(set(sent) - {course.trace.span_id})
    assert {span.id for span in own_spans(course)} <= set(sent)


def test_a_cancel_in_a_park_that_the_client_retries_is_no_claim_of_its_own() -> None:
    second = timedelta(seconds=1)
    parked = Claim(1, "parked", START, START + second, START + 2 * second, "sleep")
    canceled = Claim(1, "canceled", START + 9 * second, START + second, START + 3 * second)
    again = Claim(2, "succeeded", START + 5 * second, START + 6 * second, START + 7 * second)
    claims = (parked, canceled, again)
    course = Course(JOB, "w", Status.SUCCEEDED, None, None, START, again.due_at, again.ended_at, PLACE, claims)
    shown = [
        (span.kind, span.name, (span.started_at - START).seconds, ((span.ended_at or START) - START).seconds)
        for span in own_spans(course)
    ]
    assert shown == [
        ("job", "w", 0, 7),
        ("wait", "queued", 0, 1),
        ("wait", "queued", 5, 6),
        ("attempt", "attempt 1", 1, 3),
        ("attempt", "attempt 2", 6, 7),
    ]


def waits(course: Course) -> list[tuple[str, int, int | None]]:
    """Name, begin and end, in seconds from the start."""
    spans = [span for span in own_spans(course) if span.kind == "wait"]
    return [
        (s.name, (s.started_at - START).seconds, (s.ended_at - START).seconds if s.ended_at else None) for s in spans
    ]


def test_a_wait_says_what_it_was_for() -> None:
    second = timedelta(seconds=1)

    def course(due_s: int, reason: str | None = None, headed_s: int | None = None) -> Course:
        due_at, headed_at = START + due_s * second, None if headed_s is None else START + headed_s * second
        claim = Claim(1, "running", due_at, START + 9 * second, None)
        return Course(
            JOB, "w", Status.RUNNING, None, None, START, due_at, None, PLACE, (claim,), reason, headed_at
        )  # fmt: skip

    assert waits(course(0)) == [("queued", 0, 9)]
    assert waits(course(4, "off_peak")) == [("off_peak", 0, 4), ("queued", 4, 9)]
    assert waits(course(4, "run_at")) == [("run_at", 0, 4), ("queued", 4, 9)]
    assert waits(course(0, None, 6)) == [("ordering", 0, 6), ("queued", 6, 9)]
    assert waits(course(7, "off_peak", 6)) == [("ordering", 0, 6), ("off_peak", 6, 7), ("queued", 7, 9)]
    assert waits(course(4, "run_at", 6)) == [("ordering", 0, 6), ("queued", 6, 9)]


def test_who_stands_behind_waits_for_that_alone() -> None:
    behind = Course(JOB, "w", Status.QUEUED, "ordering", None, START, BEHIND, None, PLACE, (), "run_at")
    assert waits(behind) == [("ordering", 0, None)]
    ended_at = START + timedelta(seconds=3)
    assert waits(replace(behind, status=Status.CANCELED, ended_at=ended_at)) == [("ordering", 0, 3)]
    failed = Claim(1, "failed", START, START, ended_at)
    assert waits(replace(behind, claims=(failed,))) == [], "since when is known once it is the first"
