"""Children: jobs that a job starts and waits for, as the engine sees them; who keeps them is handed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar
from uuid import UUID

from pydantic import TypeAdapter

from app.domain.errors import Failure
from app.domain.job import TraceContext

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741
Ended = Literal["succeeded", "failed", "canceled", "expired"]

# One record holds all outcomes of a spawn; more jobs than this are a batch.
MOST_CHILDREN = 10_000
# A parent looks again after this time, should it never be told of its children's end.
RECHECK_S = 60.0


@dataclass(frozen=True, slots=True)
class ChildOutcome(Generic[O]):
    """How a child ended. `output` is None unless it succeeded; `error` has error_class, code, detail and step."""

    status: Ended
    job_id: UUID
    output: O | None = None
    error: Failure | None = None


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """The same as it is stored: `output` as canonical JSON bytes."""

    status: Ended
    job_id: UUID
    output: bytes | None = None
    error: Failure | None = None


class Declaration(Protocol[I, O]):
    """What is known of the workflow that the children run: a Workflow is one."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def lane(self) -> str: ...
    @property
    def retain_s(self) -> float: ...
    @property
    def max_cost_nanos(self) -> int | None: ...
    @property
    def input_adapter(self) -> TypeAdapter[I]: ...
    @property
    def output_adapter(self) -> TypeAdapter[O]: ...
    @property
    def output_type(self) -> Any: ...
    def validate_input(self, value: Any) -> I: ...


@dataclass(frozen=True, slots=True)
class Spawn:
    """One `ctx.spawn`: its step, the span that the children hang below, their workflow and their inputs (JSON bytes).

    `digest` is of workflow and inputs: children that were started under another one are not this spawn's.
    """

    name: str
    key: str
    trace: TraceContext
    workflow: Declaration[Any, Any]
    inputs: Sequence[bytes]
    digest: bytes


class Children(Protocol):
    """Starts the children of one job, as its present owner, and knows how they ended."""

    def declared(self, workflow: str) -> Declaration[Any, Any]:
        """The workflow of that name. Raises ProcessingError when there is none."""
        ...

    async def ends(self, spawn: Spawn) -> Sequence[ChildEnd] | None:
        """Start those that were not started yet, each once in all runs; all ends in order, None while one is open.

        Raises OwnershipLost, and ProcessingError when the workflow can't be run here.
        """
        ...
