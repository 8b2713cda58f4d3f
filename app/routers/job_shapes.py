"""The shapes of HTTP answers about jobs: in whole and in lists, their place in line, receipt and timeline."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from app.domain.errors import Disposition, ErrorClass
from app.domain.event import DeliveryStatus
from app.domain.job import Reason, Status
from app.routers.shapes import Answer, Dollars, Lane


class JobError(Answer):
    """Why an attempt or a job failed."""

    type: str
    title: str
    code: str
    class_: Annotated[ErrorClass, Field(alias="class")]
    detail: str
    step: str | None
    retryable: bool


class Usage(Answer):
    """Tokens, calls and money."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    calls: int
    cost_usd: Dollars
    saved_usd: Dollars


class Attempt(Answer):
    """One attempt."""

    n: int
    status: str
    error: JobError | None
    cost_usd: Dollars
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None


class Progress(Answer):
    """How far a running job is."""

    percent: int
    step: str | None
    eta_s: float | None


class CacheUse(Answer):
    """Whether the output is that of an equal job: of which, how old it was when it was given, and what that saved."""

    hit: bool
    source_job_id: str | None
    age_s: float | None
    saved_usd: Dollars | None


class TraceLink(Answer):
    """Where the timeline is."""

    trace_id: str
    url: str


class Urls(Answer):
    """Where to go from here."""

    self: str
    events: str
    trace: str
    cancel: str
    retry: str
    output: str


class JobSummary(Answer):
    """A job without its payloads, as lists show it."""

    id: Annotated[str, Field(pattern="^job_[0-9a-z]{26}$")]
    object: Literal["job"]
    workflow: str
    version: str
    status: Status
    terminal: bool
    reason: Reason | None
    revision: int
    lane: Lane
    priority: int
    ordering_key: str | None
    progress: Progress | None
    error: JobError | None
    disposition: Disposition | None
    degraded: list[Any]
    attempt: int
    attempts: list[Attempt]
    usage: Usage
    cache: CacheUse
    webhook_delivery: DeliveryStatus | None
    test: bool
    simulated: bool
    tags: list[str]
    metadata: dict[str, str]
    batch_id: str | None
    created_at: AwareDatetime
    due_at: Annotated[AwareDatetime | None, Field(description="When a scheduled job goes on.")]
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    deadline: AwareDatetime | None
    expires_at: AwareDatetime
    trace: TraceLink
    urls: Urls


class Children(Answer):
    """The children that a job waits for."""

    total: int
    ended: int


class RunningOn(Answer):
    """The worker that runs a job."""

    host: str
    pid: int
    alive: bool


class RunningStep(Answer):
    """A step that goes on for a second or more."""

    name: str
    key: str | None
    since: AwareDatetime


class QueuePlace(Answer):
    """Where a job stands: one sentence, and the numbers that its state has; `ahead` follows the order of claims."""

    explanation: Annotated[str, Field(examples=["queued: 41 ahead in standard, about 12 s"])]
    position: int | None
    ahead: int | None
    eta_s: float | None
    due_at: AwareDatetime | None
    paused: bool
    workers: int | None
    slots: int | None
    slots_in_use: int | None
    behind: str | None
    children: Children | None
    worker: RunningOn | None
    steps: list[RunningStep]


class ReceiptLine(Answer):
    """A call that the job was charged for, or one that a cache saved it; times in seconds, money in dollars.

    `uncertain`: its cost is an estimate.
    """

    step: str
    key: str | None
    attempt: int
    provider: str
    model: str
    outcome: str
    at: AwareDatetime
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    limiter_wait_s: float
    reserved_usd: str
    cost_usd: str
    saved_usd: str
    uncertain: bool
    why: str


class Receipt(Answer):
    """Every call in the ledger; `waits` are seconds by what was waited for; `total` is the job's own usage."""

    lines: list[ReceiptLine]
    waits: dict[str, float]
    charged_usd: str
    uncertain_usd: str
    saved_usd: str
    total: Usage


class Job(JobSummary):
    """A job; `queue` and `receipt` where they were asked for."""

    input: Any
    output: Any
    queue: QueuePlace | None = None
    receipt: Receipt | None = None


class JobPage(Answer):
    """A page of jobs, newest first."""

    data: list[JobSummary]
    next_cursor: str | None
    has_more: bool


class Span(Answer):
    """Something with a start and an end."""

    id: str
    parent_id: str | None
    kind: Literal["job", "attempt", "step", "call", "wait", "webhook"]
    name: str
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    status: str
    try_: Annotated[int | None, Field(alias="try")] = None
    attributes: dict[str, Any]


class Timeline(Answer):
    """What happened to a job, as spans."""

    trace_id: str
    spans: list[Span]


ANSWERS: tuple[type[Answer], ...] = (Job, JobPage, Timeline)
