"""The shapes of events: as webhooks carry them, and as lists of them are answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from app.domain.job import Reason, Status
from app.routers.job_shapes import JobError
from app.routers.shapes import Answer


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

    An event about a budget has no job (`budget.threshold_reached` at 80 %, `budget.exhausted`), and that as `data`; no
    webhook carries it.
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


ANSWERS: tuple[type[Answer], ...] = (Event, EventPage)
