"""Events: what clients and webhooks are told, written where the state changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class EventType(StrEnum):
    """Noun and past verb."""

    JOB_SUBMITTED = "job.submitted"
    JOB_STARTED = "job.started"
    JOB_ATTEMPT_FAILED = "job.attempt_failed"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    JOB_EXPIRED = "job.expired"
    JOB_RETRIED = "job.retried"
    JOB_UPDATED = "job.updated"
    BUDGET_THRESHOLD_REACHED = "budget.threshold_reached"
    BUDGET_EXHAUSTED = "budget.exhausted"


END_EVENTS = (EventType.JOB_SUCCEEDED, EventType.JOB_FAILED, EventType.JOB_CANCELED, EventType.JOB_EXPIRED)
WEBHOOK_EVENTS = (EventType.JOB_STARTED, EventType.JOB_ATTEMPT_FAILED, EventType.JOB_UPDATED, *END_EVENTS)


# The store's claim cuts the host out of an address in the same way.
_HOST = re.compile("://([^/?#]*)")


class DeliveryStatus(StrEnum):
    """Where a webhook delivery stands: `failed` is between attempts, `dead` is in the dead-letter list."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One outbox row that this worker took to send; `body` is the exact bytes of every try."""

    id: UUID
    epoch: int
    event_id: UUID
    job_id: UUID
    project_id: UUID
    type: str
    url: str
    secret: str
    body: bytes
    attempts: int
    created_at: datetime
    trace_id: str
    job_span_id: str

    @property
    def host(self) -> str:
        """Whom it goes to: the part of the address whose slowness is shared; with its port."""
        found = _HOST.search(self.url)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What one attempt to deliver saw; `next_at` None ends the schedule."""

    delivery_id: UUID
    status: DeliveryStatus
    at: datetime
    status_code: int | None
    error: str | None
    response_body: bytes
    duration_ms: int
    next_at: datetime | None
    span_id: str
