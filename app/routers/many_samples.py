"""Examples of causes, operations and audit entries for the OpenAPI document."""

from __future__ import annotations

from typing import Any

_JOB = "job_01k7zq0m8se9r8f2t4d6h8jkmn"
_OPERATION = "op_01k7zr4c2ye9r8f2t4d6h8jkmn"
_KEY = "key_01k7zq0m8se9r8f2t4d6h8jkmn"
_FROM, _TO = "2026-01-31T12:00:00.911000Z", "2026-01-31T12:40:12.004000Z"

CAUSE: dict[str, Any] = {
    "disposition": "dead_letter",
    "workflow": "review-sentiment",
    "version": "1",
    "step": "classify",
    "error_class": "processing",
    "error_code": "output_invalid",
    "count": 500,
    "first_at": _FROM,
    "last_at": _TO,
    "detail": "the answer did not fit after 2 repairs: label: Input should be 'positive', 'neutral' or 'negative'",
    "sample_job_ids": [_JOB],
}
CAUSE_PAGE: dict[str, Any] = {"data": [CAUSE], "total": 500, "next_cursor": None, "has_more": False}
REPLAY: dict[str, Any] = {"filter": {"workflow": "review-sentiment", "error_code": "output_invalid"}}
OPERATION: dict[str, Any] = {
    "id": _OPERATION,
    "object": "operation",
    "kind": "dead_letters.replay",
    "status": "running",
    "terminal": False,
    "reason": None,
    "total": 500,
    "done": 0,
    "skipped": 0,
    "portions": 0,
    "filter": {"disposition": "dead_letter", **REPLAY["filter"]},
    "from": None,
    "version": None,
    "key_id": _KEY,
    "created_at": _TO,
    "ended_at": None,
    "urls": {"self": f"/v1/operations/{_OPERATION}", "audit": f"/v1/audit?operation={_OPERATION}"},
}
COMPLETED: dict[str, Any] = {
    **OPERATION,
    "status": "completed",
    "terminal": True,
    "done": 498,
    "skipped": 2,
    "portions": 1,
    "ended_at": _TO,
}
AUDIT_ENTRY: dict[str, Any] = {
    "id": "aud_01k7zr4c2ye9r8f2t4d6h8jkmn",
    "at": _TO,
    "action": "jobs.replayed",
    "key_id": _KEY,
    "operation_id": _OPERATION,
    "count": 1,
    "job_ids": [_JOB],
    "tags": [],
    "request": None,
}
AUDIT_PAGE: dict[str, Any] = {"data": [AUDIT_ENTRY], "next_cursor": None, "has_more": False}
INVALIDATION: dict[str, Any] = {
    "object": "cache_invalidation",
    "tags": ["reviews"],
    "at": "2026-01-31T12:00:00.104000Z",
}
