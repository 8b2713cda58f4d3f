"""A job as clients see it: the one place that knows its JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from app.domain import ids, money
from app.domain.errors import Failure, type_of
from app.domain.job import Attempt, Job, Status, Usage
from app.store.events import StoredEvent
from app.store.feed import FeedEvent

_THIN = ("id", "object", "workflow", "version", "status", "terminal", "reason", "revision", "error")


def job_view(job: Job, base_url: str = "") -> dict[str, Any]:
    """The job's JSON; payloads are embedded as stored, so dump it with `domain.canonical` or orjson."""
    path = f"{base_url}/v1/jobs/{ids.show('job', job.id)}"
    return {
        "id": ids.show("job", job.id),
        "object": "job",
        "workflow": job.workflow,
        "version": job.version,
        "status": job.status,
        "terminal": job.status.terminal,
        "reason": job.reason,
        "revision": job.revision,
        "lane": job.lane,
        "priority": job.priority,
        "ordering_key": job.ordering_key,
        "progress": progress_view(job),
        "input": _stored(job.input),
        "output": _stored(job.output),
        "error": error_view(job.error),
        "disposition": job.disposition,
        "degraded": job.degraded,
        "attempt": job.attempt,
        "attempts": [_attempt(attempt) for attempt in job.attempts],
        "usage": usage_view(job.usage),
        "cache": cache_view(job),
        "webhook_delivery": job.webhook_delivery,
        "test": job.test_mode,
        "simulated": job.simulated,
        "tags": list(job.tags),
        "metadata": job.metadata,
        "batch_id": None,
        "created_at": time_view(job.created_at),
        "due_at": time_view(job.due_at) if job.status is Status.SCHEDULED else None,
        "started_at": time_view(job.started_at),
        "ended_at": time_view(job.ended_at),
        "deadline": time_view(job.finish_by),
        "expires_at": time_view(job.expires_at),
        "trace": {"trace_id": job.trace.trace_id, "url": f"{path}/trace"},
        "urls": {
            "self": path,
            **{name: f"{path}/{name}" for name in ("events", "trace", "cancel", "retry", "output")},
        },
    }


def summary_view(job: Job, base_url: str = "") -> dict[str, Any]:
    """The job without its payloads: in a list, and when they are no longer kept."""
    return {name: value for name, value in job_view(job, base_url).items() if name not in ("input", "output")}


def thin_view(view: Mapping[str, Any]) -> dict[str, Any]:
    """The job in short, from its whole JSON: in events, and where the whole is too long."""
    urls = {name: view["urls"][name] for name in ("output", "self")}
    return {**{name: view[name] for name in _THIN}, "thin": True, "urls": urls}


def event_view(event: StoredEvent, job: Mapping[str, Any]) -> dict[str, Any]:
    """An event's JSON; `job` is that of its job as it stands now, in short."""
    return {
        "id": ids.show("evt", event.id),
        "type": event.type,
        "timestamp": time_view(event.at),
        "job_id": job["id"],
        "batch_id": None,
        "sequence": event.revision,
        "revision": event.revision,
        "data": job,
    }


def feed_view(one: FeedEvent, base_url: str) -> dict[str, Any]:
    """The JSON of an event of a project's feed; one that is about no job carries what it is about itself."""
    if one.job is not None:
        return event_view(one.event, thin_view(job_view(one.job, base_url)))
    return {**event_view(one.event, {"id": None}), "data": _stored(one.data)}


def tag_of(revision: int) -> str:
    """The opaque part of the ETag: a job's JSON is a function of its revision."""
    return f"r{revision}"


def error_view(error: Failure | None) -> dict[str, Any] | None:
    """`job.error`: a problem object with the error's class."""
    if error is None:
        return None
    return {
        "type": type_of(error.code),
        "title": error.title,
        "code": error.code,
        "class": error.error_class,
        "detail": error.detail,
        "step": error.step,
        "retryable": error.retryable,
    }


def usage_view(usage: Usage) -> dict[str, Any]:
    """Tokens, calls and money."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "calls": usage.calls,
        "cost_usd": money.show(usage.cost_nanos),
        "saved_usd": money.show(usage.saved_nanos),
    }


def cache_view(job: Job) -> dict[str, Any]:
    """Whether its output is that of an equal job, of which, how old it was, and what that saved."""
    if job.source_job_id is None:
        return {"hit": False, "source_job_id": None, "age_s": None, "saved_usd": None}
    return {
        "hit": True,
        "source_job_id": ids.show("job", job.source_job_id),
        "age_s": round(job.source_age_s or 0.0, 3),
        "saved_usd": money.show(job.usage.saved_nanos),
    }


def time_view(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def progress_view(job: Job) -> dict[str, Any] | None:
    """How far it is, by its own words."""
    if job.progress_percent is None:
        return None
    return {"percent": job.progress_percent, "step": job.progress_step, "eta_s": None}


def _stored(body: bytes | None) -> Any:
    return orjson.Fragment(body) if body is not None else None


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "n": attempt.n,
        "status": attempt.status,
        "error": error_view(attempt.error),
        "cost_usd": money.show(attempt.cost_nanos),
        "started_at": time_view(attempt.started_at),
        "ended_at": time_view(attempt.ended_at),
    }
