"""The work of one step: its identity, the digest of its arguments, and the act that one try performs."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import TypeAdapter

from app.domain.call import Call
from app.domain.errors import ProcessingError
from app.domain.job import TraceContext
from app.engine import codec
from app.engine.fault import misuse, storable
from app.engine.policies import Policy

T = TypeVar("T")
_LONGEST_NAME = 100
_LONGEST_KEY = 255

# (name, key) of the step whose try is running in this task.
CURRENT_STEP: ContextVar[tuple[str, str] | None] = ContextVar("laneway_step", default=None)


@dataclass(frozen=True, slots=True)
class Try:
    """What the act of one try is given: its span, and where each call it makes is noted."""

    trace: TraceContext
    note: Callable[[Call], None]


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """One step. `act` gives the raw result, which `adapter` records and reads back."""

    name: str
    key: str
    kind: str
    digest: bytes
    policy: Policy
    adapter: TypeAdapter[T]
    act: Callable[[Try], Awaitable[Any]]

    @property
    def identity(self) -> tuple[str, str]:
        """What the step is known by."""
        return (self.name, self.key)

    @property
    def shown(self) -> str:
        """The step as people read it."""
        return shown(self.name, self.key)


def shown(name: str, key: str) -> str:
    """A step's name, with its key in brackets where it has one."""
    return f"{name}[{key}]" if key else name


def checked_identity(name: str, key: str | int | None) -> tuple[str, str]:
    """Name and key as stored. Raises ProcessingError for what can't identify a step."""
    text = "" if key is None else str(key)
    for what, value, longest in (("name", name, _LONGEST_NAME), ("key", text, _LONGEST_KEY)):
        if not isinstance(value, str) or len(value) > longest or storable(value) != value:
            raise ProcessingError(
                f"a step's {what} is a text of up to {longest} characters without NUL or lone surrogates"
            )
    if not name:
        raise ProcessingError("a step needs a name")
    return name, text


def digest_of(step: str, *arguments: Any) -> bytes:
    """The digest of a step's arguments. Raises ProcessingError that names the step."""
    try:
        return codec.digest(*arguments)
    except codec.NotRecordable as error:
        raise misuse(step, f"has arguments that can't be compared between runs: {error}") from None


def derived_hex(job_id: UUID, purpose: str, name: str, key: str, digits: int) -> str:
    """Hexadecimal digits that are the same in every run of this job for this step."""
    text = "\x1f".join((str(job_id), purpose, name, key))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


def step_trace(job_id: UUID, attempt: TraceContext, name: str, key: str) -> TraceContext:
    """Where the step's span hangs: one span id for all its tries, so that calls of a parked try stay attached."""
    span_id = derived_hex(job_id, "span", name, key, 16)
    return TraceContext(attempt.trace_id, span_id, attempt.span_id)
