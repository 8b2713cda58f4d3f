"""A job's timeline as spans: drawn from the rows, so no collector is needed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg
import orjson

from app.domain import ids, money
from app.domain.job import Attempt
from app.jobs.view import time_view
from app.store.reads import TraceRows


def timeline(found: TraceRows) -> dict[str, Any]:
    """`{trace_id, spans}`; every span names its parent, and all times are the recorded ones."""
    job = found.job
    spans = [_job(found), *_waits(found)]
    spans += [_attempt(found, attempt) for attempt in job.attempts]
    spans += [_step(found, row) for row in found.steps]
    spans += [_call(row) for row in found.calls]
    spans += [_webhook(found, row) for row in found.deliveries]
    return {"trace_id": job.trace.trace_id, "spans": spans}


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


def _job(found: TraceRows) -> dict[str, Any]:
    job = found.job
    return _span(
        job.trace.span_id, job.trace.parent_span_id, "job", job.workflow, job.created_at, job.ended_at, job.status,
        version=job.version, lane=job.lane, cost_usd=money.show(job.usage.cost_nanos), calls=job.usage.calls,
        input_tokens=job.usage.input_tokens, output_tokens=job.usage.output_tokens,
        input=orjson.Fragment(job.input) if job.input else None,
        output=orjson.Fragment(job.output) if job.output else None,
        error=job.error.code if job.error else None,
    )  # fmt: skip


def _waits(found: TraceRows) -> list[dict[str, Any]]:
    """The time a job spent unclaimed: before its first attempt and between attempts."""
    job = found.job
    spans, since = [], job.created_at
    for n, attempt in enumerate(job.attempts):
        if attempt.started_at is not None and attempt.started_at > since:
            id = ids.derived_span_id(job.id, f"wait-{n}")
            spans.append(_span(id, job.trace.span_id, "wait", "queued", since, attempt.started_at, "ended"))
        since = attempt.ended_at or since
    if not job.status.terminal and job.status != "running":
        id = ids.derived_span_id(job.id, "wait-now")
        spans.append(_span(id, job.trace.span_id, "wait", job.reason or "queued", since, None, job.status))
    return spans


def _attempt_id(found: TraceRows, n: int) -> str:
    return ids.derived_span_id(found.job.id, f"attempt-{n}")


def _attempt(found: TraceRows, attempt: Attempt) -> dict[str, Any]:
    return _span(
        _attempt_id(found, attempt.n), found.job.trace.span_id, "attempt", f"attempt {attempt.n}", attempt.started_at,
        attempt.ended_at, attempt.status, n=attempt.n, cost_usd=money.show(attempt.cost_nanos),
        error=attempt.error.code if attempt.error else None,
    )  # fmt: skip


def _step(found: TraceRows, row: asyncpg.Record) -> dict[str, Any]:
    name = f"{row['name']}[{row['key']}]" if row["key"] else row["name"]
    span = _span(
        row["span_id"], _attempt_id(found, row["attempt"]), "step", name, row["started_at"], row["ended_at"],
        row["status"], step_kind=row["kind"], output=orjson.Fragment(row["output"]) if row["output"] else None,
        error=row["error_code"], error_detail=row["error_detail"],
    )  # fmt: skip
    return {**span, "try": row["tries"]}


def _call(row: asyncpg.Record) -> dict[str, Any]:
    return _span(
        row["span_id"], row["step_span_id"], "call", f"{row['provider']}/{row['model']}", row["started_at"],
        row["ended_at"], row["outcome"], call_id=ids.show("call", row["id"]), http_status=row["http_status"],
        error=row["error_code"], input_tokens=row["input_tokens"], output_tokens=row["output_tokens"],
        cached_tokens=row["cached_tokens"], cost_usd=money.show(row["cost_nanos"]),
        limiter_wait_s=round(row["limiter_wait_s"], 6),
        request=orjson.Fragment(row["request"]) if row["request"] else None,
        answer=orjson.Fragment(row["answer"]) if row["answer"] else None,
    )  # fmt: skip


def _webhook(found: TraceRows, row: asyncpg.Record) -> dict[str, Any]:
    ended = datetime.fromtimestamp(row["at"].timestamp() + row["duration_ms"] / 1000, tz=row["at"].tzinfo)
    status = "succeeded" if row["error"] is None and 200 <= (row["status_code"] or 0) < 300 else "failed"
    span = _span(
        row["span_id"], found.job.trace.span_id, "webhook", row["type"], row["at"], ended, status,
        delivery_id=ids.show("dlv", row["id"]), status_code=row["status_code"], error=row["error"],
    )  # fmt: skip
    return {**span, "try": row["n"]}
