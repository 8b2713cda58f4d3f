"""What the OpenAPI document says of each operation beyond the code: answers, errors, bodies, headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.routers import breaker_shapes, limit_shapes, many_samples, money_shapes, pool_shapes, samples

_KEYED = ("missing_key", "invalid_key", "rate_limited", "scope_missing")
_ALWAYS = ("internal", "reduced_capacity")
_POSTED = ("malformed_json", "payload_too_large", "unsupported_media_type", "input_invalid", "unknown_field")


@dataclass(frozen=True, slots=True)
class Told:
    """One good answer: what it means, the name of its schema (none: no body), an example; `stream`: one of events."""

    description: str
    schema: str | None = None
    example: Any = None
    stream: str | None = None
    media: str = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """What one operation takes and answers; `linked` answers lead on to the job's other operations."""

    answers: Mapping[int, Told]
    errors: tuple[str, ...] = ()
    body: tuple[str, Any] | None = None
    headers: tuple[str, ...] = ()
    linked: bool = False
    open: bool = False

    @property
    def codes(self) -> tuple[str, ...]:
        """Every error code it can answer."""
        own = (*(() if self.open else _KEYED), *self.errors, *(_POSTED if self.body else ()), *_ALWAYS)
        return tuple(dict.fromkeys(own))


@dataclass(frozen=True, slots=True)
class Header:
    """A header that a client may send."""

    description: str
    example: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


HEADERS: dict[str, Header] = {
    "Idempotency-Key": Header(
        "The same key and body again within 24 hours do nothing, and give the same job, operation, API key or answer.",
        "order-4711",
        {"type": "string", "minLength": 1, "maxLength": 257},
    ),
    "Prefer": Header("`wait=N` holds the answer up to N seconds; `respond-async` does not (RFC 7240).", "wait=30"),
    "Cache-Control": Header(
        "Of a workflow that caches its outputs: `no-store` takes and keeps none, `no-cache` takes none, `max-age=N` "
        "none older than N seconds; `only-if-cached` starts nothing, 504 where none is known. `Cache-Status` tells "
        "what came of it (RFC 9111, RFC 9211).",
        "max-age=3600",
    ),
    "If-Match": Header("The ETag of the job as you know it; 412 when it has moved.", '"r7"'),
    "If-None-Match": Header("The ETag you know; 304 while it is still true.", '"r7"'),
    "Last-Event-ID": Header("The last event you have: only those behind it come.", samples.JOB_EVENT["id"]),
    "traceparent": Header(
        "W3C Trace Context: the job's trace goes on from here.",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
}
# Where a job that was answered can be found, by operation.
LINKS = {
    "read": "jobs.get",
    "cancel": "jobs.cancel",
    "retry": "jobs.retry",
    "output": "jobs.output",
    "events": "jobs.events",
    "trace": "jobs.trace",
}
TAGS = {
    "jobs": "Submit work and follow it.",
    "events": "What happened to all jobs of a project.",
    "workflows": "What can be submitted.",
    "dead letters": "What failed, by cause, and its replay.",
    "operations": "Acts upon many jobs, and who did them.",
    "cache": "Answers and outputs that are known.",
    "pools": "Providers' limits: what was learned of them, and levers.",
    "breakers": "Parts outside that steps name: which of them are down, and the lever.",
    "money": "What was used, and what it cost.",
    "keys": "Who may call, for which project, and what they may spend.",
    "health": "Whether the service works.",
    "webhooks": "What we send: Standard Webhooks, signed.",
}

OPERATIONS: dict[str, Operation] = {
    "jobs.submit": Operation(
        {
            200: Told(
                "`validate_only`: what a submit would meet. `Accept: text/event-stream`: the job's events, to its end",
                "DryRun", samples.DRY_RUN, samples.STREAM,
            ),
            201: Told("Ended within the wait, or its output was known", "Job", samples.JOB),
            202: Told("Accepted", "Job", samples.QUEUED),
        },
        (
            "invalid_header", "invalid_cursor", "budget_exhausted", "max_cost_too_low",
            "workflow_not_allowed", "not_found",
            "not_streamable", "duplicate_job", "result_expired", "idempotency_key_reused", "webhook_url_forbidden",
            "queue_full", "only_if_cached_miss",
        ),
        ("Submit", samples.SUBMIT),
        ("Idempotency-Key", "Prefer", "Cache-Control", "Last-Event-ID", "traceparent"),
        linked=True,
    ),
    "jobs.list": Operation(
        {200: Told("A page", "JobPage", samples.PAGE)}, ("invalid_cursor", "input_invalid", "unknown_field")
    ),
    "jobs.get": Operation(
        {200: Told("The job", "Job", samples.JOB), 304: Told("It has not changed")},
        ("not_found", "result_expired", "input_invalid"),
        headers=("If-None-Match", "Prefer"),
    ),
    "jobs.output": Operation(
        {200: Told("The output", "Anything", samples.OUTPUT), 304: Told("It has not changed")},
        ("not_found", "job_not_finished", "state_conflict", "result_expired"),
        headers=("If-None-Match",),
    ),
    "jobs.events": Operation(
        {200: Told("Events, oldest first; or a stream of them", "EventPage", samples.EVENT_PAGE, samples.STREAM)},
        ("invalid_cursor", "not_found", "result_expired", "input_invalid", "unknown_field"),
        headers=("Last-Event-ID",),
    ),
    "events.list": Operation(
        {200: Told("Events, oldest first; or a stream of them", "EventPage", samples.EVENT_PAGE, samples.FEED)},
        ("invalid_cursor", "input_invalid", "unknown_field"),
        headers=("Last-Event-ID",),
    ),
    "jobs.trace": Operation({200: Told("The timeline", "Timeline", samples.TIMELINE)}, ("not_found", "result_expired")),
    "jobs.cancel": Operation(
        {200: Told("It has ended", "Job", samples.CANCELED), 202: Told("Its worker was told", "Job", samples.QUEUED)},
        ("invalid_header", "not_found", "result_expired", "revision_mismatch", "idempotency_key_reused"),
        ("Cancel", {}),
        ("If-Match", "Idempotency-Key"),
        linked=True,
    ),
    "jobs.retry": Operation(
        {202: Told("Queued again", "Job", samples.QUEUED)},
        (
            "invalid_header", "workflow_not_allowed", "not_found", "state_conflict", "result_expired",
            "revision_mismatch", "idempotency_key_reused",
        ),
        ("Retry", {"from": "start"}),
        ("If-Match", "Idempotency-Key"),
        linked=True,
    ),
    "workflows.list": Operation({200: Told("The workflows", "WorkflowList", {"data": [samples.WORKFLOW]})}),
    "workflows.get": Operation(
        {200: Told("The workflow", "Workflow", samples.WORKFLOW)}, ("workflow_not_allowed", "not_found")
    ),
    "workflows.version": Operation(
        {200: Told("The workflow", "Workflow", samples.WORKFLOW)}, ("workflow_not_allowed", "not_found")
    ),
    "dead_letters.list": Operation(
        {200: Told("Causes", "CausePage", many_samples.CAUSE_PAGE)},
        ("invalid_cursor", "input_invalid", "unknown_field"),
    ),
    "dead_letters.replay": Operation(
        {
            200: Told("`dry_run`: what would be replayed", "CausePage", many_samples.CAUSE_PAGE),
            202: Told("Begun", "Operation", many_samples.OPERATION),
        },
        ("invalid_header", "workflow_not_allowed", "not_found", "idempotency_key_reused"),
        ("Replay", many_samples.REPLAY),
        ("Idempotency-Key",),
    ),
    "operations.get": Operation({200: Told("The operation", "Operation", many_samples.COMPLETED)}, ("not_found",)),
    "audit.list": Operation(
        {200: Told("A page", "AuditPage", many_samples.AUDIT_PAGE)},
        ("invalid_cursor", "not_found", "input_invalid", "unknown_field"),
    ),
    "cache.invalidate": Operation(
        {200: Told("Dropped", "Invalidation", many_samples.INVALIDATION)},
        ("invalid_header", "idempotency_key_reused"),
        ("Invalidate", {"tags": ["reviews"]}),
        ("Idempotency-Key",),
    ),
    "pools.list": Operation({200: Told("Pools", "PoolList", {"data": [pool_shapes.POOL]})}),
    "pools.pause": Operation(
        {200: Told("The pool", "PoolState", {**pool_shapes.POOL, "state": "paused"})},
        ("invalid_header", "not_found", "idempotency_key_reused"),
        ("PoolPause", {"for": "10m"}),
        ("Idempotency-Key",),
    ),
    "pools.resume": Operation(
        {200: Told("The pool", "PoolState", pool_shapes.POOL)},
        ("invalid_header", "not_found", "idempotency_key_reused"),
        ("PoolLever", {}),
        ("Idempotency-Key",),
    ),
    "pools.drain": Operation(
        {200: Told("The pool", "PoolState", {**pool_shapes.POOL, "state": "draining"})},
        ("invalid_header", "not_found", "idempotency_key_reused"),
        ("PoolLever", {}),
        ("Idempotency-Key",),
    ),
    "pools.forget": Operation(
        {200: Told("The pool", "PoolState", pool_shapes.POOL)},
        ("invalid_header", "not_found", "idempotency_key_reused"),
        ("PoolLever", {}),
        ("Idempotency-Key",),
    ),
    "pools.announce": Operation(
        {200: Told("The pool", "PoolState", pool_shapes.POOL)},
        ("invalid_header", "not_found", "idempotency_key_reused"),
        ("PoolAnnounce", {"requests_per_minute": 500, "tokens_per_minute": 200_000}),
        ("Idempotency-Key",),
    ),
    "pools.breaker": Operation(
        {200: Told("The pool", "PoolState", {**pool_shapes.POOL, "state": "open"})},
        ("invalid_header", "not_found", "idempotency_key_reused"),
        ("PoolBreaker", {"state": "open"}),
        ("Idempotency-Key",),
    ),
    "breakers.list": Operation({200: Told("Breakers", "BreakerList", {"data": [breaker_shapes.BREAKER]})}),
    "breakers.force": Operation(
        {200: Told("The breaker", "BreakerState", {**breaker_shapes.BREAKER, "forced": True, "next_probe_at": None})},
        ("invalid_header", "not_found", "idempotency_key_reused"),
        ("PoolBreaker", {"state": "open"}),
        ("Idempotency-Key",),
    ),
    "usage.get": Operation(
        {200: Told("Sums, and all of it", "UsageReport", money_shapes.USAGE)}, ("input_invalid", "unknown_field")
    ),
    "limits.get": Operation({200: Told("The limits", "ClientLimits", limit_shapes.LIMITS)}),
    "errors.list": Operation({200: Told("The codes", "ErrorList", limit_shapes.ERRORS)}),
    "keys.create": Operation(
        {201: Told("Made", "ApiKeyState", money_shapes.MINTED)},
        ("invalid_header", "not_found", "idempotency_key_reused"),
        ("NewKey", money_shapes.NEW_KEY),
        ("Idempotency-Key",),
    ),
    "keys.list": Operation(
        {200: Told("A page", "ApiKeyList", {"data": [money_shapes.KEY], "next_cursor": None, "has_more": False})},
        ("invalid_cursor", "not_found", "input_invalid", "unknown_field"),
    ),
    "keys.rotate": Operation(
        {201: Told("The new key", "ApiKeyState", money_shapes.MINTED)},
        ("invalid_header", "not_found", "state_conflict", "idempotency_key_reused"),
        ("Rotate", {"grace": "24h"}),
        ("Idempotency-Key",),
    ),
    "projects.create": Operation(
        {201: Told("Made", "ProjectState", money_shapes.PROJECT)},
        ("invalid_header", "idempotency_key_reused"),
        ("NewProject", {"name": "shop"}),
        ("Idempotency-Key",),
    ),
    "projects.list": Operation(
        {200: Told("A page", "ProjectList", {"data": [money_shapes.PROJECT], "next_cursor": None, "has_more": False})},
        ("invalid_cursor", "input_invalid", "unknown_field"),
    ),
    "projects.get": Operation({200: Told("The project", "ProjectState", money_shapes.PROJECT)}, ("not_found",)),
    "keys.get": Operation({200: Told("The key", "ApiKeyState", money_shapes.KEY)}, ("not_found",)),
    "keys.update": Operation(
        {200: Told("The key", "ApiKeyState", money_shapes.KEY)},
        ("not_found",),
        ("KeyChange", {"budget": {"day_usd": "9.00"}}),
    ),
    "keys.revoke": Operation({200: Told("It has ended", "ApiKeyState", money_shapes.KEY)}, ("not_found",)),
    "ops.status": Operation({200: Told("The service", "ServiceState", samples.STATUS)}),
    "ops.metrics": Operation({200: Told("The service", "Metrics", samples.METRICS, "text/plain")}),
    "health.live": Operation({200: Told("Alive", "Live", {"status": "ok"})}, open=True),
    "health.ready": Operation(
        {
            200: Told("It works, perhaps without Redis", "Ready", samples.READY),
            503: Told("It does not", "Ready", {"status": "away", "parts": {"database": "away", "redis": "ok"}}),
        },
        open=True,
    ),
}  # fmt: skip
