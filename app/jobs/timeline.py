"""A job's timeline as spans: drawn from the rows, so no collector is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import orjson

from app.domain import ids, money
from app.domain.call import CallOutcome
from app.domain.job import Job
from app.domain.spans import attempt_span_id, limiter_span_id, step_span_id
from app.gateway.calls.booking import EMBEDDINGS, SHOWN_WAIT_S, call_name, operation
from app.jobs.course import Claim, Course, OwnSpan, own_spans
from app.jobs.view import time_view
from app.store.reads import TraceRows
from app.store.rows import claimed_now


def timeline(found: TraceRows) -> dict[str, Any]:
    """`{trace_id, spans}`; every span names its parent, and all times are the recorded ones."""
    job = found.job
    spans = [_own(found, span) for span in own_spans(course_of(found))]
    spans += [_step(job, row) for row in found.steps]
    spans += _unrecorded(found)
    for row in found.calls:
        spans += [*_limiter(row), _call(row)]
    spans += [_webhook(job, row) for row in found.deliveries]
    return {"trace_id": job.trace.trace_id, "spans": spans}


def course_of(found: TraceRows) -> Course:
    """What the job went through, from its rows."""
    job = found.job
    claims = [
        Claim(
            row["n"], row["status"], row["due_at"] or row["started_at"], row["started_at"], row["ended_at"],
            row["reason"], row["error_code"], row["cost_nanos"], row["error_step"], row["error_detail"],
        )
        for row in found.claims
    ]  # fmt: skip
    error = job.error.code if job.error else None
    if job.claimed_at is not None and claimed_now(job.claimed_at, [row["started_at"] for row in found.claims]):
        cost = job.attempts[-1].cost_nanos if job.attempts else 0
        claim = Claim(
            job.attempt, job.status, job.due_at, job.claimed_at, job.ended_at, error=error, cost_nanos=cost
        )  # fmt: skip
        claims.append(claim)
    return Course(
        job.id, job.workflow, job.status, job.reason, error, job.created_at, job.due_at, job.ended_at, job.trace,
        tuple(claims), job.submit_reason, job.headed_at,
    )  # fmt: skip


def step_place(job: Job, row: Mapping[str, Any]) -> str:
    """The span id that a step hangs below: its attempt's, or the job's when it began in an earlier attempt."""
    began_here = row["span_id"] == step_span_id(job.id, row["attempt"], row["name"], row["key"])
    return attempt_span_id(job.id, row["attempt"]) if began_here else job.trace.span_id


def _span(
    id: str, parent: str | None, kind: str, name: str, start: datetime | None, end: datetime | None, status: str,
    **attributes: Any,
) -> dict[str, Any]:  # fmt: skip
    return {
        "id": id,
        "parent_id": parent,
        "kind": kind,
        "name": name,
        "started_at": time_view(start),
        "ended_at": time_view(end),
        "status": status,
        "attributes": {key: value for key, value in attributes.items() if value is not None},
    }


def _own(found: TraceRows, span: OwnSpan) -> dict[str, Any]:
    more: dict[str, Any] = {"error": span.error, "step": span.step, "error_detail": span.detail}
    if span.kind == "attempt":
        more |= {"n": span.n, "cost_usd": money.show(span.cost_nanos)}
    if span.kind == "job":
        more |= _whole(found.job)
    return _span(span.id, span.parent_id, span.kind, span.name, span.started_at, span.ended_at, span.status, **more)


def _whole(job: Job) -> dict[str, Any]:
    return {
        "version": job.version,
        "lane": job.lane,
        "cost_usd": money.show(job.usage.cost_nanos),
        "calls": job.usage.calls,
        "input_tokens": job.usage.input_tokens,
        "output_tokens": job.usage.output_tokens,
        "input": _stored(job.input),
        "output": _stored(job.output),
    }


def _step(job: Job, row: Mapping[str, Any]) -> dict[str, Any]:
    span = _span(
        row["span_id"], step_place(job, row), "step", row["name"], row["started_at"], row["ended_at"], row["status"],
        key=row["key"] or None, step_kind=row["kind"], attempt=row["attempt"], output=_stored(row["output"]),
        error=row["error_code"], error_class=row["error_class"], error_detail=row["error_detail"],
        args_digest=row["args_digest"].hex(), cached=row["cached"] or None, via=row["via"],
    )  # fmt: skip
    return {**span, "try": row["tries"]}


def _unrecorded(found: TraceRows) -> Iterator[dict[str, Any]]:
    """Steps known only by their calls: a retry by the client forgot their failure, or they never came to an end."""
    known = {row["span_id"] for row in found.steps}
    left = sorted((row for row in found.calls if row["step_span_id"] not in known), key=lambda row: row["step_span_id"])
    for id, group in groupby(left, key=lambda row: row["step_span_id"]):
        calls = list(group)
        first = calls[0]
        start, end = min(_asked_at(row) for row in calls), max(row["ended_at"] for row in calls)
        parent = attempt_span_id(found.job.id, first["attempt"])
        kind = "embed" if operation(first["request"]) == EMBEDDINGS else "ask"
        yield _span(
            id, parent, "step", first["step"], start, end, "unrecorded", key=first["step_key"] or None, step_kind=kind,
            attempt=first["attempt"],
        )  # fmt: skip


def _limiter(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if row["limiter_wait_s"] >= SHOWN_WAIT_S:
        id, start = limiter_span_id(row["id"]), _asked_at(row)
        yield _span(id, row["step_span_id"], "wait", "limiter", start, row["started_at"], "ended", pool=row["pool"])


def _asked_at(call: Mapping[str, Any]) -> datetime:
    """When the call got in line for the limiter."""
    started_at: datetime = call["started_at"]
    return started_at - timedelta(seconds=call["limiter_wait_s"])


def _call(row: Mapping[str, Any]) -> dict[str, Any]:
    return _span(
        row["span_id"], row["step_span_id"], "call", call_name(row["model"], row["request"]), row["started_at"],
        row["ended_at"], row["outcome"], call_id=ids.show("call", row["id"]), provider=row["provider"],
        model=row["model"], http_status=row["http_status"], error=row["error_code"], input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"], cached_tokens=row["cached_tokens"], cost_usd=money.show(row["cost_nanos"]),
        saved_usd=money.show(row["saved_nanos"]) if row["outcome"] == CallOutcome.CACHED else None,
        limiter_wait_s=round(row["limiter_wait_s"], 6), request=_stored(row["request"]), answer=_stored(row["answer"]),
    )  # fmt: skip


def _webhook(job: Job, row: Mapping[str, Any]) -> dict[str, Any]:
    ended = row["at"] + timedelta(milliseconds=row["duration_ms"])
    status = "succeeded" if row["error"] is None and 200 <= (row["status_code"] or 0) < 300 else "failed"
    span = _span(
        row["span_id"], job.trace.span_id, "webhook", row["type"], row["at"], ended, status,
        delivery_id=ids.show("dlv", row["id"]), status_code=row["status_code"], error=row["error"],
    )  # fmt: skip
    return {**span, "try": row["n"]}


def _stored(body: bytes | None) -> Any:
    return orjson.Fragment(body) if body else None
