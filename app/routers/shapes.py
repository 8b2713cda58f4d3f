"""The shapes of HTTP answers, as the OpenAPI document shows them; tests hold real answers against them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.domain.errors import Disposition, ErrorClass
from app.domain.event import DeliveryStatus
from app.domain.job import Reason, Status

Dollars = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{9}$", examples=["0.001100000"])]
Lane = Literal["interactive", "standard", "bulk"]


class Answer(BaseModel):
    """Clients must expect new fields and new members of enums."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"additionalProperties": True})


class FieldProblem(Answer):
    """One broken rule: where in the body, and what is wrong."""

    pointer: str
    code: str
    detail: str


class Problem(Answer):
    """RFC 9457; `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str | None
    retryable: bool
    retry_after_s: int | None = None
    errors: list[FieldProblem] | None = None


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
    """A call that the job was charged for, or one that a cache saved it; times in seconds, money in dollars."""

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
    why: str


class Receipt(Answer):
    """Every call in the ledger; `waits` are seconds by what was waited for; `total` is the job's own usage."""

    lines: list[ReceiptLine]
    waits: dict[str, float]
    charged_usd: str
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


class Estimate(Answer):
    """What a job is expected to take, from its workflow's last ones; null before the first."""

    input_tokens: int | None
    cost_usd: Dollars | None
    duration_s: float | None


class DryRun(Answer):
    """What a submit would meet."""

    valid: bool
    errors: list[FieldProblem]
    estimate: Estimate
    cache_hit: bool
    queue_eta_s: float | None


class Recent(Answer):
    """How the last jobs went."""

    jobs: int
    p50_s: float
    p95_s: float


class Workflow(Answer):
    """What can be submitted."""

    name: str
    object: Literal["workflow"]
    version: str
    versions: list[str]
    description: str
    lane: Lane
    sla_s: float | None
    timeout_s: float
    retain_s: float
    deprecated: AwareDatetime | None
    sunset: AwareDatetime | None
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    recent: Recent | None
    price_basis: Estimate


class WorkflowList(Answer):
    """Every workflow, in its default version."""

    data: list[Workflow]


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


class Event(Answer):
    """The body of a webhook, byte for byte the same at every attempt; above 20 kB `data` holds no payloads."""

    type: str
    timestamp: AwareDatetime
    data: dict[str, Any]
    sequence: int
    revision: int
    feed_cursor: str


class ThinUrls(Answer):
    """Where the rest is."""

    self: str
    output: str


class ThinJob(Answer):
    """A job in short."""

    id: str
    object: Literal["job"]
    workflow: str
    version: str
    status: Status
    terminal: bool
    reason: Reason | None
    revision: int
    error: JobError | None
    thin: Literal[True]
    urls: ThinUrls


class Budget(Answer):
    """How much of a budget is spent; `limit_usd` is all of it."""

    object: Literal["budget"]
    scope: Literal["project", "workflow", "key"]
    workflow: str | None
    key_id: str | None
    period: Literal["hour", "day", "month"]
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    limit_usd: str
    spent_usd: str
    test: bool


class JobEvent(Answer):
    """What happened to a job at a revision; `data` is the job as it stands when the event is read.

    An event about a budget has no job (`budget.threshold_reached` at 80 %, `budget.exhausted`), and that as `data`.
    """

    id: Annotated[str, Field(pattern="^evt_[0-9a-z]{26}$")]
    type: str
    timestamp: AwareDatetime
    job_id: str | None
    batch_id: str | None
    sequence: int
    revision: int
    data: ThinJob | Budget


class EventPage(Answer):
    """A page of a job's events, oldest first."""

    data: list[JobEvent]
    next_cursor: str | None
    has_more: bool


ANSWERS: tuple[type[Answer], ...] = (
    Problem, Job, JobPage, DryRun, Workflow, WorkflowList, Timeline, Event, EventPage,
)  # fmt: skip
