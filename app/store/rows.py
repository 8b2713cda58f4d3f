"""Rows to words: how a jobs row becomes a Job, for every statement that reads one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from app.domain import canonical
from app.domain.errors import Disposition, ErrorClass, Failure
from app.domain.job import Attempt, Job, Reason, Status, TraceContext, Usage

# The status of a row of table attempts that is no attempt: a claim that ended in a park, within an attempt.
PARKED = "parked"
# What `job` below needs of table jobs, named j in the statement.
JOB_COLUMNS = """
    j.id, j.project_id, j.workflow, j.version, j.lane, j.priority, j.status, j.reason, j.epoch, j.revision, j.attempt,
    j.due_at, j.created_at, j.started_at, j.claimed_at, j.ended_at, j.expires_at, j.finish_by, j.progress_percent,
    j.progress_step, j.error_class, j.error_code, j.error_detail, j.error_step, j.disposition, j.degraded,
    j.input_tokens, j.output_tokens, j.cached_tokens, j.calls, j.cost_nanos, j.saved_nanos, j.attempt_cost_nanos,
    j.trace_id, j.span_id, j.parent_span_id, j.tags, j.metadata, j.cancel_requested, j.content_hash, j.test_mode,
    j.simulated, j.has_webhook, j.ordering_key, j.submit_reason, j.headed_at, j.source_job_id, j.source_age_s
"""
_PLAIN = (
    "id", "project_id", "workflow", "version", "lane", "priority", "epoch", "revision", "attempt", "due_at",
    "created_at", "started_at", "claimed_at", "ended_at", "expires_at", "finish_by", "progress_percent",
    "progress_step", "cancel_requested", "content_hash", "test_mode", "simulated", "ordering_key",
    "submit_reason", "headed_at", "source_job_id", "source_age_s",
)  # fmt: skip


def job(
    row: asyncpg.Record,
    *,
    input: bytes | None,
    output: bytes | None,
    earlier: Sequence[asyncpg.Record] = (),
    delivery: str | None = None,
) -> Job:
    """The job of a row that has JOB_COLUMNS; `earlier` are its rows of table attempts."""
    plain: dict[str, Any] = {name: row[name] for name in _PLAIN}
    return Job(
        **plain,
        status=Status(row["status"]),
        reason=Reason(row["reason"]) if row["reason"] else None,
        error=failure(row),
        disposition=Disposition(row["disposition"]) if row["disposition"] else None,
        degraded=canonical.load(row["degraded"]) if row["degraded"] else [],
        usage=usage(row),
        attempts=_attempts(row, earlier),
        trace=trace(row),
        tags=tuple(orjson.loads(row["tags"])),
        metadata=orjson.loads(row["metadata"]),
        input=input,
        output=output,
        webhook_delivery=delivery,
    )


def usage(row: asyncpg.Record) -> Usage:
    """The usage columns."""
    return Usage(
        row["input_tokens"],
        row["output_tokens"],
        row["cached_tokens"],
        row["calls"],
        row["cost_nanos"],
        row["saved_nanos"],
    )


def trace(row: asyncpg.Record) -> TraceContext:
    """The columns that hold the job's span."""
    return TraceContext(row["trace_id"], row["span_id"], row["parent_span_id"])


def failure(row: asyncpg.Record) -> Failure | None:
    """The error columns, None when there is no error."""
    if row["error_code"] is None:
        return None
    return Failure(ErrorClass(row["error_class"]), row["error_code"], row["error_detail"] or "", row["error_step"])


def text(value: str | None) -> str | None:
    """Text that PostgreSQL takes: no NUL, no lone surrogate."""
    return None if value is None else value.replace("\x00", "�").encode("utf-8", "replace").decode()


def json_text(value: Any) -> str:
    """JSON text for a jsonb parameter; its texts were checked to hold no NUL and no lone surrogate."""
    return orjson.dumps(value).decode()


def _attempts(row: asyncpg.Record, earlier: Sequence[asyncpg.Record]) -> tuple[Attempt, ...]:
    """Ended attempts, and the one that goes on over its parks, or ended with the job."""
    found: list[Attempt] = []
    since = None
    for claim in earlier:
        since = since or claim["started_at"]
        if claim["status"] != PARKED:
            ended_at, cost = claim["ended_at"], claim["cost_nanos"]
            found.append(Attempt(claim["n"], claim["status"], failure(claim), cost, since, ended_at))
            since = None
    if since or claimed_now(row["claimed_at"], [claim["started_at"] for claim in earlier]):
        started_at, cost = since or row["claimed_at"], row["attempt_cost_nanos"]
        found.append(Attempt(row["attempt"], row["status"], failure(row), cost, started_at, row["ended_at"]))
    return tuple(found)


def claimed_now(claimed_at: datetime | None, starts: Sequence[datetime]) -> bool:
    """Whether the job's last claim is not the last of those that ended before it, which began at `starts`."""
    return claimed_at is not None and claimed_at not in starts[-1:]
