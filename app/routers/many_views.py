"""Causes, operations and the audit as clients see them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.domain import ids
from app.domain.operation import AuditEntry, Cause, Operation, OperationStatus, Replay, Which
from app.jobs.view import time_view

_FILTER = ("disposition", "workflow", "version", "step", "error_class", "error_code", "tag")


def cause_view(cause: Cause) -> dict[str, Any]:
    """A cause's JSON."""
    return {
        "disposition": cause.disposition,
        "workflow": cause.workflow,
        "version": cause.version,
        "step": cause.step,
        "error_class": cause.error_class,
        "error_code": cause.error_code,
        "count": cause.count,
        "first_at": time_view(cause.first_at),
        "last_at": time_view(cause.last_at),
        "detail": cause.detail,
        "sample_job_ids": [ids.show("job", job_id) for job_id in cause.samples],
    }


def operation_view(operation: Operation, base_url: str) -> dict[str, Any]:
    """An operation's JSON."""
    shown, replay = ids.show("op", operation.id), operation.replay
    return {
        "id": shown,
        "object": "operation",
        "kind": operation.kind,
        "status": operation.status,
        "terminal": operation.status is OperationStatus.COMPLETED,
        "reason": operation.reason,
        "total": operation.total,
        "done": operation.done,
        "skipped": operation.skipped,
        "portions": operation.portions,
        **_asked(replay),
        "key_id": _shown("key", operation.key_id),
        "created_at": time_view(operation.created_at),
        "ended_at": time_view(operation.ended_at),
        "urls": {"self": f"{base_url}/v1/operations/{shown}", "audit": f"{base_url}/v1/audit?operation={shown}"},
    }


def audit_view(entry: AuditEntry, *, jobs: bool) -> dict[str, Any]:
    """An entry's JSON."""
    return {
        "id": ids.show("aud", entry.id),
        "at": time_view(entry.at),
        "action": entry.action,
        "key_id": _shown("key", entry.key_id),
        "operation_id": _shown("op", entry.operation_id),
        "count": entry.count,
        "job_ids": [ids.show("job", job_id) for job_id in entry.job_ids] if jobs else None,
        "tags": list(entry.tags),
        "request": _asked(entry.replay) if entry.replay else None,
    }


def _asked(replay: Replay) -> dict[str, Any]:
    """As it was asked for; no filter where jobs were named."""
    told = _filter(replay.which) if replay.which.job_ids is None else None
    return {"filter": told, "from": "start" if replay.from_start else None, "version": replay.version}


def _filter(which: Which) -> dict[str, Any]:
    told = {name: getattr(which, name) for name in _FILTER}
    told |= {"since": time_view(which.since), "until": time_view(which.until)}
    return {name: value for name, value in told.items() if value is not None}


def _shown(prefix: str, value: UUID | None) -> str | None:
    return ids.show(prefix, value) if value else None
