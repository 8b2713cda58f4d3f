"""The shapes of HTTP answers about workflows: what can be submitted, and what a submit would meet."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime

from app.routers.shapes import Answer, Dollars, FieldProblem, Lane


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


ANSWERS: tuple[type[Answer], ...] = (DryRun, Workflow, WorkflowList)
