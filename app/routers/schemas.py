"""The shapes of HTTP bodies."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from app.domain import duration


class Body(BaseModel):
    """A request body that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid")


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("write a duration as text, for instance 30s, 5m or 2h")
    return duration.seconds(value)


def _plain(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain NUL")
    return text


Duration = Annotated[
    float, BeforeValidator(_seconds, json_schema_input_type=str), Field(gt=0, le=366 * 86400, examples=["30s"])
]
Plain = Annotated[str, AfterValidator(_plain)]
Tag = Annotated[Plain, Field(min_length=1, max_length=100)]


class WebhookBody(Body):
    """A callback for this job."""

    url: Annotated[Plain, Field(min_length=1, max_length=2000, examples=["https://example.com/hooks"])]
    events: Annotated[list[Annotated[str, Field(max_length=64)]] | None, Field(max_length=20)] = None
    secret: Annotated[str | None, Field(max_length=200, description="whsec_ and base64 of 24 to 64 bytes")] = None


class DedupeBody(Body):
    """What counts as a duplicate; without `key` the content of the validated input."""

    key: Annotated[Plain | None, Field(min_length=1, max_length=255)] = None
    within: Duration = 3600.0
    on_duplicate: Literal["return", "reject"] = "return"


class SubmitBody(Body):
    """A job to run."""

    input: Annotated[Any, Field(description="What the workflow's input schema asks for.")]
    webhook: WebhookBody | None = None
    priority: Annotated[int, Field(ge=0, le=9, description="9 first, within the lane")] = 5
    lane: Literal["interactive", "standard", "bulk"] | None = None
    on_disconnect: Literal["continue", "demote", "cancel"] | None = None
    run_at: Annotated[AwareDatetime | None, Field(description="Start no earlier.")] = None
    start_within: Duration | None = None
    finish_within: Duration | None = None
    retain_for: Duration | None = None
    max_cost_usd: Annotated[Decimal | None, Field(ge=0, max_digits=18, decimal_places=9)] = None
    dedupe: DedupeBody | None = None
    tags: Annotated[list[Tag], Field(max_length=50)] = []
    metadata: Annotated[
        dict[Annotated[Plain, Field(min_length=1, max_length=100)], Annotated[Plain, Field(max_length=1000)]],
        Field(max_length=50),
    ] = {}


class RetryBody(Body):
    """How to run a job again."""

    from_: Annotated[Literal["start"] | None, Field(alias="from", description="`start` forgets finished steps.")] = None
    version: Annotated[str | None, Field(max_length=100)] = None


class ListQuery(Body):
    """Filters and page of a list."""

    workflow: str | None = None
    status: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    tag: str | None = None
    error_code: str | None = None
    error_class: str | None = None
    disposition: str | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: str | None = None
