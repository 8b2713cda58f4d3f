"""The shapes of answers about a client's limits and about error codes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.domain.errors import ErrorClass
from app.routers.event_shapes import Budget
from app.routers.shapes import Answer


class RequestLimits(Answer):
    """Bounds of one request."""

    max_body_bytes: int
    max_wait_s: float
    per_minute: int


class QueueLimits(Answer):
    """Jobs of the project that have not started, and how many more are taken before 429 `queue_full`."""

    max_unstarted: int
    unstarted: int
    left: int


class BudgetLeft(Budget):
    """A budget in its present period; `spent_usd` is what is on the books, calls in flight come on top."""

    left_usd: str
    at_limit: Literal["refuse", "hold"]


class ClientLimits(Answer):
    """What this client may do, and what is left."""

    object: Literal["limits"]
    key_id: str
    mode: Literal["live", "test"]
    request: RequestLimits
    queue: QueueLimits
    budgets: list[BudgetLeft]


class ErrorMeaning(Answer):
    """An error code; `status` is null where it stands in `job.error` only."""

    code: str
    type: str
    status: int | None
    class_: Annotated[ErrorClass, Field(alias="class")]
    title: str
    retryable: bool
    what_to_do: str


class ErrorList(Answer):
    """All codes."""

    data: list[ErrorMeaning]


ANSWERS: tuple[type[Answer], ...] = (ClientLimits, ErrorList)
LIMITS = {
    "object": "limits",
    "key_id": "key_01k0c3e9v2f0x8r6m4w5t7y1za",
    "mode": "live",
    "request": {"max_body_bytes": 4194304, "max_wait_s": 60.0, "per_minute": 600000},
    "queue": {"max_unstarted": 1000000, "unstarted": 12, "left": 999988},
    "budgets": [
        {
            "object": "budget",
            "scope": "project",
            "workflow": None,
            "key_id": None,
            "period": "day",
            "starts_at": "2026-11-22T00:00:00Z",
            "ends_at": "2026-11-23T00:00:00Z",
            "limit_usd": "100.000000000",
            "spent_usd": "12.500000000",
            "left_usd": "87.500000000",
            "at_limit": "refuse",
            "test": False,
        }
    ],
}
ERRORS = {
    "data": [
        {
            "code": "queue_full",
            "type": "urn:laneway:error:queue_full",
            "status": 429,
            "class": "transient",
            "title": "The queue is full",
            "retryable": True,
            "what_to_do": "Submit again after `Retry-After`.",
        }
    ]
}
