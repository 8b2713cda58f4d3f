"""The workflow: the decorator that declares one, and what Laneway knows of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Generic

from pydantic import TypeAdapter
from typing_extensions import TypeVar

from app.domain import money
from app.domain.duration import seconds
from app.domain.lane import LANES
from app.engine.context import Context
from app.engine.declaration import Declared, WorkflowDefinitionError, declared_by, place, refuse
from app.engine.intake import validated_input
from app.engine.policies import Cache

__all__ = ["LANES", "Workflow", "WorkflowDefinitionError", "declared_in", "workflow"]

I = TypeVar("I", default=Any)  # noqa: E741
O = TypeVar("O", default=Any)  # noqa: E741
Amount = str | int | float | Decimal

_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]*$")
_VERSION = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")
_LONGEST_NAME = 64
# Where a module keeps what it declares, also workflows whose Python name another definition took over.
_DECLARED = "__laneway_workflows__"


@dataclass(frozen=True, slots=True, eq=False)
class Workflow(Generic[I, O]):
    """One version of a workflow. Schemas are JSON Schema; `cache`, `dedupe` and `reduces` are kept as declared."""

    name: str
    version: str
    fn: Callable[[Context, I], Awaitable[O]]
    input_model: Any
    output_type: Any
    input_adapter: TypeAdapter[I]
    output_adapter: TypeAdapter[O]
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    description: str
    lane: str
    sla_s: float | None
    timeout_s: float
    dedupe: str | None
    cache: Cache | None
    max_cost_nanos: int | None
    retain_s: float
    deprecated: datetime | None
    sunset: datetime | None
    default: bool
    reduces: str | None

    def validate_input(self, value: Any) -> I:
        """A submitted input (plain JSON types) as the function will get it. Raises pydantic's ValidationError.

        Unknown fields are errors of type `extra_forbidden`, unless the author's model says `extra="allow"` or "ignore".
        """
        return validated_input(self.input_adapter, self.name, value)

    @property
    def place(self) -> str:
        """Where it is written."""
        return place(self.fn)


def workflow(
    name: str,
    version: str,
    lane: str = "standard",
    sla: str | None = None,
    timeout: str = "10m",
    dedupe: str | None = None,
    cache: Cache | None = None,
    max_cost_usd: Amount | None = None,
    retain_for: str = "30d",
    deprecated: str | date | None = None,
    sunset: str | date | None = None,
    default: bool = False,
    reduces: str | None = None,
) -> Callable[[Callable[[Context, I], Awaitable[O]]], Workflow[I, O]]:
    """Declare a workflow; the function's docstring describes it in the API docs.

    Durations are texts such as `30s`; `dedupe` is the time within which an equal input is the same job;
    `deprecated` and `sunset` are dates. Raises WorkflowDefinitionError that says what to mend.
    """

    def declare(fn: Callable[[Context, I], Awaitable[O]]) -> Workflow[I, O]:
        own = _checked(fn, name, version, lane)
        declared = Workflow(
            name=name,
            version=version,
            fn=fn,
            input_model=own.input_type,
            output_type=own.output_type,
            input_adapter=own.input_adapter,
            output_adapter=own.output_adapter,
            input_schema=own.input_schema,
            output_schema=own.output_schema,
            description=own.description,
            lane=lane,
            sla_s=None if sla is None else _seconds(fn, "sla", sla),
            timeout_s=_seconds(fn, "timeout", timeout),
            dedupe=_checked_dedupe(fn, dedupe),
            cache=cache,
            max_cost_nanos=None if max_cost_usd is None else _nanos(fn, max_cost_usd),
            retain_s=_seconds(fn, "retain_for", retain_for),
            deprecated=_moment(fn, "deprecated", deprecated),
            sunset=_moment(fn, "sunset", sunset),
            default=default,
            reduces=reduces,
        )
        fn.__globals__.setdefault(_DECLARED, []).append(declared)
        return declared

    return declare


def declared_in(module: Any) -> list[Workflow[Any, Any]]:
    """The workflows that a module declares or imports by name, in order."""
    named = [value for value in vars(module).values() if isinstance(value, Workflow)]
    return list({id(one): one for one in [*vars(module).get(_DECLARED, ()), *named]}.values())


def _checked(fn: Callable[..., Any], name: str, version: str, lane: str) -> Declared:
    if not isinstance(name, str) or not _NAME.match(name) or len(name) > _LONGEST_NAME:
        refuse(fn, f"is named {name!r}: use lower-case letters, digits and hyphens, up to {_LONGEST_NAME} characters")
    if not isinstance(version, str) or not _VERSION.match(version):
        refuse(fn, f'has version {version!r}: write a short text, for instance version="1"')
    if lane not in LANES:
        refuse(fn, f"names lane {lane!r}: choose one of {', '.join(LANES)}")
    return declared_by(fn)


def _seconds(fn: Callable[..., Any], what: str, text: str) -> float:
    try:
        found = seconds(text)
    except ValueError as error:
        refuse(fn, f"has a wrong {what}: {error}")
    if not 0 < found < float("inf"):
        refuse(fn, f"has a {what} of {text!r}: it must be more than nothing")
    return found


def _checked_dedupe(fn: Callable[..., Any], text: str | None) -> str | None:
    if text is not None:
        _seconds(fn, "dedupe", text)
    return text


def _nanos(fn: Callable[..., Any], amount: Amount) -> int:
    try:
        found = money.nanos(str(amount))
    except ValueError as error:
        refuse(fn, f"has a wrong max_cost_usd: {error}")
    if found <= 0:
        refuse(fn, f"has max_cost_usd {amount!r}: it must be more than nothing")
    return found


def _moment(fn: Callable[..., Any], what: str, value: str | date | None) -> datetime | None:
    if value is None or isinstance(value, datetime):
        found = value
    elif isinstance(value, date):
        found = datetime(value.year, value.month, value.day, tzinfo=UTC)
    else:
        try:
            found = datetime.fromisoformat(value)
        except (ValueError, TypeError):
            refuse(fn, f'has {what} {value!r}: write a date, for instance "2030-01-31"')
    if found is None:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
