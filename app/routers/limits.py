"""What a client may do and how much of it is left; and what each error code means."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from app.domain import ids, money
from app.domain.advice import ADVICE
from app.domain.budget import Cap
from app.domain.errors import CATALOGUE, ErrorCode, type_of
from app.gateway.budgets.marks import budget_view
from app.routers.deps import ReaderDep, RuntimeDep
from app.routers.reply import json_answer
from app.routers.timing import timed

router = APIRouter(prefix="/v1", tags=["money"])


@router.get("/limits", operation_id="limits.get", summary="What this client may do, and what is left")
async def get_limits(request: Request, key: ReaderDep, runtime: RuntimeDep) -> Response:
    """Bounds of a request, room in the queue, and the budgets of the key, of its project and of what it may call."""
    left, settings = await timed(request, "store", runtime.room.of(key)), runtime.settings
    most = settings.queue.max_unstarted_per_project
    found = {
        "object": "limits",
        "key_id": ids.show("key", key.id),
        "mode": key.mode,
        "request": {
            "max_body_bytes": settings.http.max_body_bytes,
            "max_wait_s": settings.http.max_wait_s,
            "per_minute": settings.http.requests_per_minute,
        },
        "queue": {"max_unstarted": most, "unstarted": left.unstarted, "left": max(0, most - left.unstarted)},
        "budgets": [_budget(cap, spent) for cap, spent in left.budgets],
    }
    return json_answer(found, headers={"Cache-Control": "private, no-store"})


@router.get("/errors", operation_id="errors.list", summary="Every error code")
async def list_errors(key: ReaderDep) -> Response:
    """The codes of `application/problem+json` and of `job.error`: meaning, class, and what to do."""
    return json_answer({"data": [_code(entry) for entry in CATALOGUE.values()]})


def _budget(cap: Cap, spent_nanos: int) -> dict[str, Any]:
    left = money.show(max(0, cap.nanos - spent_nanos))
    return {**budget_view(cap, spent_nanos), "left_usd": left, "at_limit": "hold" if cap.hold else "refuse"}


def _code(entry: ErrorCode) -> dict[str, Any]:
    advice = ADVICE[entry.code]
    return {
        "code": entry.code,
        "type": type_of(entry.code),
        "status": entry.status or None,
        "class": advice.error_class,
        "title": entry.title,
        "retryable": entry.retryable,
        "what_to_do": advice.what_to_do,
    }
