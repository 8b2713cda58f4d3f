"""The call: one request to a model, what it used and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.domain.job import Usage


class CallOutcome(StrEnum):
    """How a call ended, as the ledger keeps it."""

    SUCCEEDED = "succeeded"
    INVALID = "invalid"
    FAILED = "failed"
    RATE_LIMITED = "rate_limited"
    LATE = "late"
    # An answer from a cache: no call was made, nothing is charged.
    CACHED = "cached"
    # A call that a dead worker had begun: its reservation, since nobody knows what it cost.
    LOST = "lost"
    # Takes a lost one back: the call was booked after all.
    FOUND = "found"


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a provider, or one that a known answer saved: `cached`, free, with what it saved.

    Money in nano-dollars; `request` and `answer` are canonical JSON bytes. `reserved_nanos` is what budgets had set
    aside for it: what of it was not spent is released.
    """

    id: UUID
    provider: str
    model: str
    pool: str
    outcome: CallOutcome
    error_code: str | None
    http_status: int | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_nanos: int
    price_known: bool
    limiter_wait_s: float
    started_at: datetime
    ended_at: datetime
    span_id: str
    request: bytes | None
    answer: bytes | None
    saved_nanos: int = 0
    reserved_nanos: int = 0

    @property
    def usage(self) -> Usage:
        """The call as part of a job's usage."""
        made = int(self.outcome is not CallOutcome.CACHED)
        return Usage(self.input_tokens, self.output_tokens, self.cached_tokens, made, self.cost_nanos, self.saved_nanos)
