"""The work of one step: its identity, the digest of its arguments, and the act that one try performs."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from app.domain import canonical
from app.domain.call import Call
from app.domain.errors import ProcessingError
from app.domain.job import TraceContext
from app.domain.spans import step_span_id
from app.domain.step import Via
from app.engine import codec
from app.engine.fault import at_step, storable
from app.engine.policies import DEFAULT, Policy

T = TypeVar("T")
_LONGEST_NAME = 100
_LONGEST_KEY = 255
_LONGEST_DELTA = 65_536

# (name, key) of the step whose try is running in this task.
CURRENT_STEP: ContextVar[tuple[str, str] | None] = ContextVar("laneway_step", default=None)


@dataclass(frozen=True, slots=True)
class Try:
    """What the act of one try is given: its span, where each call it makes is noted, by which way it answers, that
    its result was known, and that the answer of its last call could not be used. `since`: when the step began;
    `again`: it has been tried before.
    """

    trace: TraceContext
    note: Callable[[Call], None]
    came: Callable[[Via], None]
    known: Callable[[], None]
    unfit: Callable[[], None]
    since: datetime
    again: bool


@dataclass(frozen=True, slots=True)
class Way:
    """Another way to a step's answer, for when its own is closed or has failed for good."""

    via: Via
    act: Callable[[Try], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """One step. `act` gives the raw result, which `adapter` records and reads back.

    The beginning of a `lasting` one is recorded too: it keeps its time and its span over the runs that it lasts.
    `known` gives the result as recorded where an equal job had it; then nothing is tried.
    `ways` are taken in order while its breaker is open, and after its tries are used up.
    """

    name: str
    key: str
    kind: str
    digest: bytes
    policy: Policy
    adapter: TypeAdapter[T]
    act: Callable[[Try], Awaitable[Any]]
    lasting: bool = False
    ways: tuple[Way, ...] = ()
    known: Callable[[], Awaitable[bytes | None]] | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """What the step is known by."""
        return (self.name, self.key)


def shown(identity: tuple[str, str]) -> str:
    """A step as people read it: its name, with its key in brackets where it has one."""
    name, key = identity
    return f"{name}[{key}]" if key else name


def misuse(identity: tuple[str, str], text: str, *, code: str = "workflow_error") -> ProcessingError:
    """The error for a step that is used against the rules; `text` says how."""
    error = ProcessingError(f"step {shown(identity)!r} {text}", code=code)
    at_step(error, identity[0])
    return error


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


def checked_policy(identity: tuple[str, str], policy: Policy | None) -> Policy:
    """The step's policy, by default the usual one. Raises ProcessingError for what is none."""
    if policy is not None and not isinstance(policy, Policy):
        raise misuse(identity, f"takes policy=Policy(...), not {policy!r:.100}")
    return policy or DEFAULT


def checked_delta(value: Any) -> Any:
    """A piece for streaming clients as plain JSON, by alias. Raises ProcessingError for none, and for a long one."""
    try:
        found = to_jsonable_python(value, by_alias=True, inf_nan_mode="null")
        length = len(canonical.dump(found))
    except (ValueError, TypeError, RecursionError) as error:
        raise ProcessingError(f"ctx.emit takes what can be written as JSON: {codec.explain(error)}") from None
    if length > _LONGEST_DELTA:
        raise ProcessingError(f"ctx.emit takes up to {_LONGEST_DELTA} bytes of JSON at once, not {length}")
    return found


def digest_of(identity: tuple[str, str], *arguments: Any) -> bytes:
    """The digest of a step's arguments. Raises ProcessingError that names the step."""
    try:
        return codec.digest(*arguments)
    except codec.NotRecordable as error:
        raise misuse(identity, f"has arguments that can't be compared between runs: {error}") from None


def stable_key(job_id: UUID, identity: tuple[str, str]) -> str:
    """Forty hexadecimal digits that are the same in every run of this job for this step."""
    text = "\x1f".join((str(job_id), *identity))
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def step_trace(
    job_id: UUID, n: int, attempt: TraceContext, identity: tuple[str, str], begun: str | None
) -> TraceContext:
    """Where the step's span hangs: below the n-th attempt, or below the job when it began in an earlier one.

    `begun` is its span id when an earlier try was recorded: one span for all tries, so that calls of each are its own.
    """
    own = step_span_id(job_id, n, *identity)
    if begun is None or begun == own:
        return TraceContext(attempt.trace_id, own, attempt.span_id)
    return TraceContext(attempt.trace_id, begun, attempt.parent_span_id)
