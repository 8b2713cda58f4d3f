"""Examples: a job and what else the OpenAPI document shows, and a sample of any JSON Schema."""

from __future__ import annotations

import json
from typing import Any

from app.routers.breaker_shapes import BREAKER

_SELF = "/v1/jobs/job_01k7zq0m8se9r8f2t4d6h8jkmn"
_TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
_START, _END = "2026-01-31T12:00:00.104000Z", "2026-01-31T12:00:00.911000Z"

USAGE: dict[str, Any] = {
    "input_tokens": 61,
    "output_tokens": 12,
    "cached_tokens": 0,
    "calls": 1,
    "cost_usd": "0.000016350",
    "saved_usd": "0.000000000",
}
ATTEMPT: dict[str, Any] = {
    "n": 1,
    "status": "succeeded",
    "error": None,
    "cost_usd": "0.000016350",
    "started_at": _START,
    "ended_at": _END,
}
SUMMARY: dict[str, Any] = {
    "id": _SELF.rsplit("/", 1)[-1],
    "object": "job",
    "workflow": "review-sentiment",
    "version": "1",
    "status": "succeeded",
    "terminal": True,
    "reason": None,
    "revision": 3,
    "lane": "standard",
    "priority": 5,
    "ordering_key": None,
    "progress": None,
    "error": None,
    "disposition": None,
    "degraded": [],
    "attempt": 1,
    "attempts": [ATTEMPT],
    "usage": USAGE,
    "cache": {"hit": False, "source_job_id": None, "age_s": None, "saved_usd": None},
    "webhook_delivery": None,
    "test": False,
    "simulated": False,
    "tags": ["spring"],
    "metadata": {"order": "4711"},
    "batch_id": None,
    "created_at": "2026-01-31T12:00:00.101000Z",
    "due_at": None,
    "started_at": _START,
    "ended_at": _END,
    "deadline": None,
    "expires_at": "2026-03-02T12:00:00.911000Z",
    "trace": {"trace_id": _TRACE_ID, "url": f"{_SELF}/trace"},
    "urls": {"self": _SELF, **{name: f"{_SELF}/{name}" for name in ("events", "trace", "cancel", "retry", "output")}},
}
INPUT: dict[str, Any] = {"text": "Well. It is what it is."}
OUTPUT: dict[str, Any] = {"label": "neutral", "confidence": 0.71, "decided_by": "model"}
JOB: dict[str, Any] = {**SUMMARY, "input": INPUT, "output": OUTPUT}
_UNSTARTED: dict[str, Any] = {"attempts": [], "started_at": None, "ended_at": None, "output": None}
QUEUED: dict[str, Any] = {
    **JOB,
    **_UNSTARTED,
    "status": "queued",
    "terminal": False,
    "revision": 1,
    "usage": {**dict.fromkeys(USAGE, 0), "cost_usd": "0.000000000", "saved_usd": "0.000000000"},
}
CANCELED_ERROR: dict[str, Any] = {
    "type": "urn:laneway:error:canceled_by_client",
    "title": "Canceled by the client",
    "code": "canceled_by_client",
    "class": "input",
    "detail": "Canceled by the client.",
    "step": None,
    "retryable": False,
}
CANCELED: dict[str, Any] = {
    **QUEUED,
    "status": "canceled",
    "terminal": True,
    "revision": 2,
    "error": CANCELED_ERROR,
    "ended_at": _END,
}
SUBMIT: dict[str, Any] = {
    "input": INPUT,
    "webhook": {"url": "https://example.com/hooks"},
    "finish_within": "5m",
    "tags": ["spring"],
}
PAGE: dict[str, Any] = {"data": [SUMMARY], "next_cursor": None, "has_more": False}
ESTIMATE: dict[str, Any] = {"input_tokens": 61, "cost_usd": "0.000016350", "duration_s": 0.81}
DRY_RUN: dict[str, Any] = {
    "valid": True,
    "errors": [],
    "estimate": ESTIMATE,
    "cache_hit": False,
    "queue_eta_s": 0.0,
}
TIMELINE: dict[str, Any] = {
    "trace_id": _TRACE_ID,
    "spans": [
        {
            "id": "00f067aa0ba902b7",
            "parent_id": None,
            "kind": "job",
            "name": "review-sentiment",
            "started_at": _START,
            "ended_at": _END,
            "status": "succeeded",
            "attributes": {"lane": "standard", "cost_usd": "0.000016350"},
        }
    ],
}
WORKFLOW: dict[str, Any] = {
    "name": "review-sentiment",
    "object": "workflow",
    "version": "1",
    "versions": ["1"],
    "description": "Tells whether a product review is positive, neutral or negative.",
    "lane": "standard",
    "sla_s": 60.0,
    "timeout_s": 600.0,
    "retain_s": 2592000.0,
    "deprecated": None,
    "sunset": None,
    "input_schema": {"type": "object"},
    "output_schema": {"type": "object"},
    "recent": {"jobs": 200, "p50_s": 0.81, "p95_s": 1.92},
    "price_basis": ESTIMATE,
}
STATUS: dict[str, Any] = {
    "parts": {"database": "ok", "redis": "ok"},
    "lanes": [
        {
            "lane": "standard",
            "queued": 12,
            "scheduled": 3,
            "waiting": 0,
            "running": 200,
            "reasons": {"retry": 3},
            "due": 12,
            "oldest_s": 0.4,
            "eta_s": 0.24,
            "ended_last_minute": 3000,
            "paused": False,
            "workers": 2,
            "slots": 200,
            "slots_in_use": 200,
        }
    ],
    "processes": {"serve": 1, "work": 2},
    "workers": [
        {
            "host": "worker-1",
            "pid": 4711,
            "lanes": ["standard", "bulk"],
            "started_at": "2026-01-31T11:00:00.000000Z",
            "beat_age_s": 0.4,
        }
    ],
    "alerts": [
        {
            "key": "part_away:lane:bulk",
            "kind": "part_away",
            "detail": "jobs are due in bulk, which no worker serves",
            "since": "2026-01-31T11:00:00.000000Z",
            "fired_at": "2026-01-31T11:00:03.000000Z",
        }
    ],
    "pools": [{"id": "openai/mini", "state": "closed", "in_flight": 31}],
    "breakers": [BREAKER],
    "provider_simulated": False,
}
METRICS = """# HELP laneway_lane_due_jobs The backlog: unfinished jobs that may start now.
# TYPE laneway_lane_due_jobs gauge
laneway_lane_due_jobs{lane="standard"} 12.0
"""
READY: dict[str, Any] = {"status": "ok", "parts": {"database": "ok", "redis": "ok"}}
EVENT: dict[str, Any] = {
    "type": "job.succeeded",
    "timestamp": _END,
    "data": SUMMARY,
    "sequence": 3,
    "revision": 3,
    "feed_cursor": "8123-1207",
}
_THIN = ("id", "object", "workflow", "version", "status", "terminal", "reason", "revision", "error")
JOB_EVENT: dict[str, Any] = {
    "id": "evt_01k7zq0m9ge9r8f2t4d6h8jkmn",
    "type": "job.started",
    "timestamp": _START,
    "job_id": JOB["id"],
    "batch_id": None,
    "sequence": 2,
    "revision": 2,
    "data": {
        **{name: SUMMARY[name] for name in _THIN},
        "thin": True,
        "urls": {name: SUMMARY["urls"][name] for name in ("output", "self")},
    },
}
EVENT_PAGE: dict[str, Any] = {"data": [JOB_EVENT], "next_cursor": None, "has_more": False}
FEED = f"event: job\ndata: {json.dumps(JOB_EVENT)}\nid: {JOB_EVENT['id']}\n\n"
STREAM = (
    f"{FEED}"
    'event: delta\ndata: {"step":"answer","key":null,"text":"It is "}\n\n'
    f"event: end\ndata: {json.dumps(JOB)}\n\n"
)

_PLAIN: dict[str, Any] = {"string": "text", "integer": 1, "number": 0.5, "boolean": True, "null": None}


def sample(schema: dict[str, Any], root: dict[str, Any], depth: int = 8) -> Any:
    """A value that fits the schema in the common cases; an author's own example wins. `root` holds `$defs`."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    for keyword in ("examples", "enum"):
        if schema.get(keyword):
            return schema[keyword][0]
    for keyword in ("const", "default"):
        if schema.get(keyword) is not None:
            return schema[keyword]
    for keyword in ("anyOf", "oneOf", "allOf"):
        if schema.get(keyword) and depth:
            return sample(schema[keyword][0], root, depth - 1)
    return _by_type(schema, root, depth)


def _by_type(schema: dict[str, Any], root: dict[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    if kind == "object":
        wanted = {name: schema.get("properties", {}).get(name, {}) for name in schema.get("required", [])}
        return {name: sample(inner, root, depth - 1) for name, inner in wanted.items()} if depth else {}
    if kind == "array":
        return [sample(schema.get("items", {}), root, depth - 1)] * schema.get("minItems", 1) if depth else []
    if kind == "string":
        return "text".ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]
    if kind in ("integer", "number"):
        return max(schema.get("minimum", _PLAIN[kind]), min(_PLAIN[kind], schema.get("maximum", _PLAIN[kind])))
    return _PLAIN.get(str(kind), "anything")
