"""The shapes of HTTP bodies about money and keys."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, WithJsonSchema

from app.routers import limit_shapes
from app.routers.schemas import DURATION_SCHEMA, Body, Moment, Plain, read_seconds
from app.routers.shapes import Answer
from app.settings.budgets import MOST_USD

Dollars = Annotated[Decimal | None, Field(ge=0, le=MOST_USD, max_digits=18, decimal_places=9)]
Name = Annotated[Plain, Field(min_length=1, max_length=200)]
Grace = Annotated[
    float, BeforeValidator(read_seconds), Field(ge=0, le=30 * 86400), WithJsonSchema(DURATION_SCHEMA, mode="validation")
]


class BudgetBody(Body):
    """Dollars that a key may spend in an hour, a day, a month (UTC)."""

    hour_usd: Dollars = None
    day_usd: Dollars = None
    month_usd: Dollars = None


class NewKeyBody(Body):
    """A key to make."""

    name: Annotated[Name, Field(description="What the key is for.")]
    project_id: Annotated[Plain | None, Field(description="Default: the caller's project.")] = None
    scopes: Annotated[list[Plain] | None, Field(description="Default: those of the key that asks.", max_length=50)] = (
        None
    )
    workflows: Annotated[
        list[Name] | None, Field(description="Only these; default: those of the key that asks.", max_length=1000)
    ] = None
    expires_at: Annotated[Moment | None, Field(description="Default: when the key that asks does.")] = None
    mode: Annotated[
        Literal["live", "test"] | None,
        Field(description="`test`: calls go to the simulated provider. Default: that of the key that asks."),
    ] = None
    budget: BudgetBody | None = None


class KeyBody(Body):
    """What is to change of a key."""

    budget: Annotated[BudgetBody | None, Field(description="The new budget as a whole; null: none.")]


class RotateBody(Body):
    """For how long the old text works on."""

    grace: Annotated[Grace, Field(json_schema_extra={"default": "24h"}, description="Up to 30 days.")] = 86400.0


class NewProjectBody(Body):
    """A project to make."""

    # Budgets of one project stand under `project/NAME`.
    name: Annotated[Name, Field(pattern="^[^/]*$", description="Unique, and without a slash.")]


class PageQuery(Body):
    """Which page."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before.")] = None


class KeysQuery(PageQuery):
    """Whose keys, and which page."""

    project_id: Annotated[Plain | None, Field(description="Default: the caller's project.")] = None


class UsageQuery(Body):
    """From when to when, and by what."""

    from_: Annotated[
        Plain | None, Field(alias="from", description="A time, or a date; default: 30 days before `to`.")
    ] = None
    to: Annotated[Plain | None, Field(description="A time, or a date: to its end; default: now.")] = None
    group_by: Literal["day", "workflow", "model", "key"] = "day"


class UsageSums(Answer):
    """What calls used. `group`: a day, a workflow, `provider/model` or a key, `none` for what is nobody's.

    `saved_usd`: what caches saved; `failed_cost_usd`: the cost of calls that came to nothing; `uncertain_cost_usd`: how
    much of the cost is an estimate, of calls without a known price or count of tokens.
    """

    group: str | None
    calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: str
    saved_usd: str
    failed_cost_usd: str
    uncertain_cost_usd: str


class UsageReport(Answer):
    """By group, and all of it."""

    data: list[UsageSums]
    total: UsageSums


class KeyBudget(Answer):
    """Dollars by period."""

    hour_usd: str | None
    day_usd: str | None
    month_usd: str | None


class ApiKeyState(Answer):
    """A key; `key` is its text, once, in the answer to its making."""

    id: Annotated[str, Field(pattern="^key_[0-9a-z]{26}$")]
    object: Literal["api_key"]
    first_id: Annotated[
        str, Field(description="The first of the keys that were rotated into this one: usage and budgets go by it.")
    ]
    name: str
    prefix: str
    project_id: str
    scopes: list[str]
    workflows: list[str] | None
    mode: Literal["live", "test"]
    budget: KeyBudget | None
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None
    key: str | None = None


class ApiKeyList(Answer):
    """A page of a project's keys, newest first."""

    data: list[ApiKeyState]
    next_cursor: str | None
    has_more: bool


class ProjectState(Answer):
    """To which jobs, keys and all else belong."""

    id: Annotated[str, Field(pattern="^prj_[0-9a-z]{26}$")]
    object: Literal["project"]
    name: str
    created_at: AwareDatetime


class ProjectList(Answer):
    """A page of projects, newest first."""

    data: list[ProjectState]
    next_cursor: str | None
    has_more: bool


ANSWERS: tuple[type[Answer], ...] = (
    UsageReport, ApiKeyState, ApiKeyList, ProjectState, ProjectList, *limit_shapes.ANSWERS,
)  # fmt: skip
BODIES: dict[str, type[Body]] = {
    "NewKey": NewKeyBody, "KeyChange": KeyBody, "Rotate": RotateBody, "NewProject": NewProjectBody,
}  # fmt: skip
SUMS = {
    "group": "2026-11-22",
    "calls": 3708,
    "input_tokens": 311472,
    "output_tokens": 66744,
    "cached_tokens": 0,
    "cost_usd": "0.086767200",
    "saved_usd": "0.000000000",
    "failed_cost_usd": "0.000000000",
    "uncertain_cost_usd": "0.000000000",
}
USAGE = {"data": [SUMS], "total": {**SUMS, "group": None}}
NEW_KEY = {"name": "mobile app", "scopes": ["jobs:read", "jobs:write"], "budget": {"day_usd": "5.00"}}
KEY = {
    "id": "key_01k0c3e9v2f0x8r6m4w5t7y1za",
    "object": "api_key",
    "first_id": "key_01k0c3e9v2f0x8r6m4w5t7y1za",
    "name": "mobile app",
    "prefix": "lw_live_8fK2",
    "project_id": "prj_01k0c3e9v2f0x8r6m4w5t7y1zb",
    "scopes": ["jobs:read", "jobs:write"],
    "workflows": None,
    "mode": "live",
    "budget": {"hour_usd": None, "day_usd": "5.000000000", "month_usd": None},
    "created_at": "2026-11-22T09:00:00Z",
    "expires_at": None,
    "revoked_at": None,
}
PROJECT = {
    "id": "prj_01k0c3e9v2f0x8r6m4w5t7y1zb",
    "object": "project",
    "name": "shop",
    "created_at": "2026-11-22T09:00:00Z",
}
MINTED = {**KEY, "key": "lw_live_8fK2..."}
