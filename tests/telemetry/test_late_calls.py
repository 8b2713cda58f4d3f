"""Calls of a step that did not come to an end: in the ledger, in the job's usage, and in its timeline."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain import ids
from app.domain.call import Call, CallOutcome
from app.domain.job import NewJob, Status, TraceContext
from app.domain.spans import step_span_id
from app.domain.step import StepPlace
from app.jobs.timeline import timeline
from app.store.claims import Claims
from app.store.database import Database, open_database
from app.store.reads import Reads
from app.store.steps import Steps
from app.store.submissions import Submission, Submissions
from tests.stack import Stack
from tests.store.parts import render

PROJECT = ids.uuid7()
# Nobody serves it here.
LANE = "interactive"


def new_job() -> NewJob:
    now = datetime.now(UTC)
    return NewJob(
        id=ids.uuid7(),
        project_id=PROJECT,
        key_id=None,
        workflow="asks",
        version="1",
        lane=LANE,
        priority=5,
        status=Status.QUEUED,
        reason=None,
        due_at=now,
        input=b"{}",
        trace=TraceContext(ids.trace_id(), ids.span_id()),
        created_at=now,
        expires_at=now + timedelta(days=1),
    )


def call(outcome: CallOutcome, cost_nanos: int) -> Call:
    now = datetime.now(UTC)
    return Call(
        id=ids.uuid7(),
        provider="sim",
        model="small-sim",
        pool="sim/small-sim",
        outcome=outcome,
        error_code=None,
        http_status=200,
        input_tokens=7,
        output_tokens=3,
        cached_tokens=0,
        cost_nanos=cost_nanos,
        price_known=True,
        limiter_wait_s=0.2,
        started_at=now,
        ended_at=now + timedelta(milliseconds=30),
        span_id=ids.span_id(),
        request=b'{"messages":[]}',
        answer=None,
    )


async def test_late_calls_are_booked_counted_and_shown(stack: Stack) -> None:
    database = await open_database(stack.servers.database_url, 2)
    try:
        await late_calls(database)
    finally:
        await database.close()


async def late_calls(database: Database) -> None:
    wanted = new_job()
    await Submissions(database, render).submit(Submission(wanted))
    job = await Claims(database, ids.uuid7(), lambda event, job: b"").claim(LANE)
    assert job is not None and job.id == wanted.id
    place = StepPlace("classify", "k", step_span_id(job.id, 1, "classify", "k"))
    late = [(place, call(CallOutcome.SUCCEEDED, 5)), (place, call(CallOutcome.RATE_LIMITED, 0))]
    steps = Steps(database)
    await steps.book(job, late)
    await steps.book(job, late)
    usage, attempt_cost = await steps.used(replace(job, resumed=True))
    assert (usage.calls, usage.cost_nanos, usage.input_tokens, attempt_cost) == (2, 5, 14, 5)
    async with database.connection() as connection:
        paid = await connection.fetch("select step, outcome, cost_nanos from ledger where job_id = $1", job.id)
    assert sorted(tuple(row) for row in paid) == [("classify", "late", 0), ("classify", "late", 5)]
    await shown(database, wanted, place)


async def shown(database: Database, wanted: NewJob, place: StepPlace) -> None:
    found = await Reads(database).trace(PROJECT, wanted.id)
    assert found is not None
    spans: list[dict[str, Any]] = timeline(found)["spans"]
    (step,) = [span for span in spans if span["kind"] == "step"]
    (attempt,) = [span for span in spans if span["kind"] == "attempt"]
    assert (step["id"], step["name"], step["status"]) == (place.span_id, "classify", "unrecorded")
    assert (step["parent_id"], step["attributes"]["key"]) == (attempt["id"], "k")
    calls = [span for span in spans if span["kind"] == "call"]
    assert [(span["parent_id"], span["status"]) for span in calls] == [
        (step["id"], "succeeded"),
        (step["id"], "rate_limited"),
    ]
    limits = [span for span in spans if span["name"] == "limiter"]
    assert [span["parent_id"] for span in limits] == [step["id"]] * 2
