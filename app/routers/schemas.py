"""The shapes of HTTP requests."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from app.domain import duration
from app.domain.errors import Disposition, ErrorClass

_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|z|[+-][0-9:]{2,6})"
)
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


class Body(BaseModel):
    """A request body that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid")


def read_seconds(value: Any) -> Any:
    """Seconds of a duration that a client wrote. Raises ValueError."""
    try:
        if isinstance(value, str) and value.isascii() and value.isprintable():
            return duration.seconds(value)
    except ValueError:
        pass
    raise ValueError("write a duration as text: a number and ms, s, m, h or d, for instance 30s")


def _plain(text: str) -> str:
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("must not contain NUL or lone surrogates")
    return text


def _moment(value: Any) -> Any:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("write a time as RFC 3339 with its offset, for instance 2030-01-31T12:00:00Z")
    return value


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _FIRST if moment.year == 1 else _LAST


DURATION_SCHEMA = {
    "type": "string",
    "pattern": r"^[0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h|d)$",
    "examples": ["30s", "5m", "2h"],
}
_MOMENT_SCHEMA = {"type": "string", "format": "date-time", "examples": ["2030-01-31T12:00:00Z"]}
Duration = Annotated[
    float,
    BeforeValidator(read_seconds),
    Field(gt=0, le=366 * 86400),
    WithJsonSchema(DURATION_SCHEMA, mode="validation"),
]
Moment = Annotated[
    AwareDatetime, BeforeValidator(_moment), AfterValidator(_utc), WithJsonSchema(_MOMENT_SCHEMA, mode="validation")
]
Plain = Annotated[str, AfterValidator(_plain)]
Tag = Annotated[Plain, Field(min_length=1, max_length=100)]
MetadataKey = Annotated[Plain, Field(min_length=1, max_length=100)]
MetadataValue = Annotated[Plain, Field(max_length=1000)]


class WebhookBody(Body):
    """A callback for this job."""

    url: Annotated[Plain, Field(min_length=1, max_length=2000, examples=["https://example.com/hooks"])]
    events: Annotated[
        list[Annotated[Plain, Field(max_length=64)]] | None,
        Field(max_length=20, description="Default: the events that end a job."),
    ] = None
    secret: Annotated[Plain | None, Field(max_length=200, description="whsec_ and base64 of 24 to 64 bytes")] = None


class DedupeBody(Body):
    """What counts as a duplicate; without `key` the content of the validated input."""

    key: Annotated[Plain | None, Field(min_length=1, max_length=255)] = None
    within: Annotated[Duration, Field(json_schema_extra={"default": "1h"})] = 3600.0
    on_duplicate: Literal["return", "reject"] = "return"


class SubmitBody(Body):
    """A job to run."""

    input: Annotated[Any, Field(description="What the workflow's input schema asks for.")]
    webhook: WebhookBody | None = None
    priority: Annotated[int, Field(strict=True, ge=0, le=9, description="9 first, within the lane")] = 5
    lane: Annotated[
        Literal["interactive", "standard", "bulk"] | None, Field(description="May be lowered, never raised.")
    ] = None
    off_peak: Annotated[
        bool | None, Field(strict=True, description="Wait for off-peak hours, or not. Default: as the lane does.")
    ] = None
    on_disconnect: Annotated[
        Literal["continue", "demote", "cancel"] | None, Field(description="When a waiting client leaves.")
    ] = None
    run_at: Annotated[Moment | None, Field(description="Start no earlier.")] = None
    start_within: Annotated[Duration | None, Field(description="Expire unless started by then.")] = None
    finish_within: Annotated[Duration | None, Field(description="Expire unless finished by then.")] = None
    retain_for: Annotated[Duration | None, Field(description="How long the ended job is kept.")] = None
    max_cost_usd: Annotated[Decimal | None, Field(ge=0, max_digits=18, decimal_places=9)] = None
    dedupe: DedupeBody | None = None
    ordering_key: Annotated[
        Plain | None, Field(min_length=1, max_length=255, description="Jobs of one key run one after the other.")
    ] = None
    tags: Annotated[list[Tag], Field(max_length=50)] = []
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=50)] = {}


class RetryBody(Body):
    """How to run a job again."""

    from_: Annotated[Literal["start"] | None, Field(alias="from", description="`start` forgets finished steps.")] = None
    version: Annotated[Plain | None, Field(max_length=100)] = None


class DeadLettersFilter(Body):
    """Which failed jobs: all that is named must fit."""

    disposition: Annotated[
        Literal["dead_letter", "quarantine"],
        Field(
            description="`quarantine`: failed for their input; running them again helps once the workflow can read it."
        ),
    ] = "dead_letter"
    workflow: Plain | None = None
    version: Plain | None = None
    step: Plain | None = None
    error_class: ErrorClass | None = None
    error_code: Plain | None = None
    tag: Tag | None = None
    since: Annotated[Moment | None, Field(description="Ended then or later.")] = None
    until: Annotated[Moment | None, Field(description="Ended before.")] = None


class DeadLettersQuery(DeadLettersFilter):
    """The filter, and the page of causes."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before.")] = None


class ReplayBody(Body):
    """What to run again: `ids`, or a `filter` that names something."""

    ids: Annotated[list[Plain] | None, Field(min_length=1, max_length=10_000)] = None
    filter: DeadLettersFilter | None = None
    from_: Annotated[Literal["start"] | None, Field(alias="from", description="`start` forgets finished steps.")] = None
    version: Annotated[
        Plain | None, Field(max_length=100, description="Run them in this version; the filter names the workflow.")
    ] = None
    dry_run: Annotated[bool, Field(strict=True, description="Answer what would be replayed; do nothing.")] = False


class InvalidateBody(Body):
    """What to drop: all that was kept under one of these tags."""

    tags: Annotated[list[Tag], Field(min_length=1, max_length=100)]


class AuditQuery(Body):
    """Which entries of the audit."""

    operation: Annotated[str | None, Field(description="Only those of this operation.")] = None
    include: Annotated[Literal["jobs"] | None, Field(description="`jobs`: the ids of the jobs too.")] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before.")] = None


class CancelBody(Body):
    """Nothing to say yet."""


class SubmitQuery(Body):
    """Which version, and whether to run at all."""

    version: Annotated[str | None, Field(description="Default: the workflow's default version.")] = None
    validate_only: Annotated[bool, Field(description="Answer what a submit would meet; start nothing.")] = False


class EventsQuery(Body):
    """Which of a job's events."""

    after: Annotated[str | None, Field(description="The id of the last event you have; default: from the first.")] = (
        None
    )
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before; the same as `after`.")] = None


class GetQuery(Body):
    """What to tell besides the job itself."""

    include: Annotated[
        Literal["queue", "receipt"] | None,
        Field(
            description="At once and without ETag: `queue`: where it stands and why; `receipt`: what it cost and why."
        ),
    ] = None


class ListQuery(BaseModel):
    """Filters and page of a list; `metadata.KEY=value` is a filter too."""

    workflow: Plain | None = None
    status: Annotated[Plain | None, Field(description="One state, or several with commas.")] = None
    created_after: Moment | None = None
    created_before: Moment | None = None
    tag: Tag | None = None
    error_code: Plain | None = None
    error_class: ErrorClass | None = None
    disposition: Disposition | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before.")] = None
