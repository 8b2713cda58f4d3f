"""The job: its states, the one table of transitions, and its record."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.domain.errors import Disposition, Failure


class Status(StrEnum):
    """The eight states."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        """Whether it is an end state."""
        return self in TERMINAL


class Reason(StrEnum):
    """Why a job is scheduled, queued or waiting."""

    RUN_AT = "run_at"
    OFF_PEAK = "off_peak"
    RETRY = "retry"
    SLEEP = "sleep"
    PAUSED = "paused"
    ORDERING = "ordering"
    RATE_LIMIT = "rate_limit"
    PROVIDER_DOWN = "provider_down"
    PROVIDER_AUTH = "provider_auth"
    BUDGET = "budget"
    WINDOW = "window"
    PROVIDER_BATCH = "provider_batch"
    CHILDREN = "children"
    REVIEW = "review"
    SYSTEM = "system"


class Verb(StrEnum):
    """What moves a job."""

    SUBMIT = "submit"
    CLAIM = "claim"
    SETTLE = "settle"
    PARK = "park"
    RECOVER = "recover"
    CANCEL = "cancel"
    EXPIRE = "expire"
    RETRY = "retry"


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EXPIRED})
UNCLAIMED = frozenset({Status.SCHEDULED, Status.QUEUED, Status.WAITING})

# verb -> (states it may start from, states it may lead to); an empty start is a new job.
TRANSITIONS: dict[Verb, tuple[frozenset[Status], frozenset[Status]]] = {
    Verb.SUBMIT: (frozenset(), frozenset({Status.QUEUED, Status.SCHEDULED, Status.SUCCEEDED})),
    Verb.CLAIM: (UNCLAIMED, frozenset({Status.RUNNING})),
    Verb.SETTLE: (frozenset({Status.RUNNING}), TERMINAL),
    Verb.PARK: (frozenset({Status.RUNNING}), frozenset({Status.SCHEDULED, Status.WAITING, Status.QUEUED})),
    Verb.RECOVER: (frozenset({Status.RUNNING}), frozenset({Status.QUEUED, Status.FAILED, Status.CANCELED})),
    Verb.CANCEL: (UNCLAIMED, frozenset({Status.CANCELED})),
    Verb.EXPIRE: (UNCLAIMED, frozenset({Status.EXPIRED})),
    Verb.RETRY: (frozenset({Status.FAILED, Status.CANCELED, Status.EXPIRED}), frozenset({Status.QUEUED})),
}

# state -> the reasons that it may have; None is no reason.
REASONS: dict[Status, frozenset[Reason | None]] = {
    Status.SCHEDULED: frozenset({Reason.RUN_AT, Reason.OFF_PEAK, Reason.RETRY, Reason.SLEEP}),
    Status.QUEUED: frozenset({None, Reason.PAUSED, Reason.ORDERING}),
    Status.RUNNING: frozenset({None}),
    Status.WAITING: frozenset(
        {
            Reason.RATE_LIMIT, Reason.PROVIDER_DOWN, Reason.PROVIDER_AUTH, Reason.BUDGET, Reason.WINDOW,
            Reason.PROVIDER_BATCH, Reason.CHILDREN, Reason.REVIEW, Reason.SYSTEM,
        }
    ),
    **{status: frozenset({None}) for status in TERMINAL},
}  # fmt: skip


def allowed(verb: Verb, before: Status | None, after: Status) -> bool:
    """Whether the table has this move; `before` is None for a new job."""
    sources, targets = TRANSITIONS[verb]
    return after in targets and (before in sources if before is not None else not sources)


def sources(verb: Verb) -> list[str]:
    """The states `verb` may start from, sorted, as stored."""
    return sorted(state.value for state in TRANSITIONS[verb][0])


@dataclass(frozen=True, slots=True)
class Usage:
    """What a job has used so far; money in nano-dollars."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    calls: int = 0
    cost_nanos: int = 0
    saved_nanos: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.calls + other.calls,
            self.cost_nanos + other.cost_nanos,
            self.saved_nanos + other.saved_nanos,
        )


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where a job's spans hang: hexadecimal ids (W3C Trace Context)."""

    trace_id: str
    span_id: str
    parent_span_id: str | None = None

    @property
    def traceparent(self) -> str:
        """The header that makes another service's span a child of this one."""
        return f"00-{self.trace_id}-{self.span_id}-01"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as shown: the job's row is the current one, ended ones have rows of their own."""

    n: int
    status: str
    error: Failure | None
    cost_nanos: int
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobWebhook:
    """The callback a client registered for one job; `secret` (whsec_...) signs."""

    url: str
    events: tuple[str, ...]
    secret: str


class CacheMode(StrEnum):
    """What a client says of the cache of outputs beyond the first look: do not give me a known one; nor keep mine."""

    NO_CACHE = "no-cache"
    NO_STORE = "no-store"


@dataclass(frozen=True, slots=True)
class Known:
    """The output that an equal job had, `age_s` ago; what it cost stands in `saved_nanos`. Canonical JSON bytes."""

    output: bytes
    source_job_id: UUID
    age_s: float
    saved_nanos: int


@dataclass(frozen=True, slots=True)
class NewJob:
    """A validated submission, ready for the store. Payloads are canonical JSON bytes."""

    id: UUID
    project_id: UUID
    key_id: UUID | None
    workflow: str
    version: str
    lane: str
    priority: int
    status: Status
    reason: Reason | None
    due_at: datetime
    input: bytes
    trace: TraceContext
    created_at: datetime
    expires_at: datetime
    start_within_s: float | None = None
    finish_within_s: float | None = None
    start_by: datetime | None = None
    finish_by: datetime | None = None
    retain_s: float = 30 * 86400.0
    max_cost_nanos: int | None = None
    content_hash: bytes | None = None
    on_disconnect: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    webhook: JobWebhook | None = None
    test_mode: bool = False
    simulated: bool = False
    off_peak: bool = False
    ordering_key: str | None = None
    cache_mode: CacheMode | None = None
    # With it the job is born succeeded.
    known: Known | None = None


Said = tuple[int, str | None]
"""What a job says of its progress: percent, and what it is doing."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that this worker now owns, with what is needed to run it."""

    id: UUID
    epoch: int
    project_id: UUID
    key_id: UUID | None
    workflow: str
    version: str
    lane: str
    attempt: int
    revision: int
    input: bytes
    trace: TraceContext
    usage: Usage
    attempt_cost_nanos: int
    created_at: datetime
    due_at: datetime
    claimed_at: datetime
    finish_by: datetime | None
    max_cost_nanos: int | None
    resumed: bool
    test_mode: bool
    has_webhook: bool
    deaths: int = 0
    parent_id: UUID | None = None
    simulated: bool = False
    cache_mode: CacheMode | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job's row as read back; input and output are canonical JSON bytes."""

    id: UUID
    project_id: UUID
    workflow: str
    version: str
    lane: str
    priority: int
    status: Status
    reason: Reason | None
    epoch: int
    revision: int
    attempt: int
    due_at: datetime
    created_at: datetime
    started_at: datetime | None
    claimed_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime
    finish_by: datetime | None
    progress_percent: int | None
    progress_step: str | None
    error: Failure | None
    disposition: Disposition | None
    degraded: list[Any]
    usage: Usage
    attempts: tuple[Attempt, ...]
    trace: TraceContext
    tags: tuple[str, ...]
    metadata: dict[str, str]
    input: bytes | None
    output: bytes | None
    webhook_delivery: str | None
    cancel_requested: bool
    content_hash: bytes | None
    test_mode: bool
    simulated: bool
    ordering_key: str | None
    # Why it did not start at once; when it came to the head of its ordering key, if it ever stood behind another.
    submit_reason: str | None
    headed_at: datetime | None
    # The job whose output this one was given, and how old that was.
    source_job_id: UUID | None = None
    source_age_s: float | None = None
