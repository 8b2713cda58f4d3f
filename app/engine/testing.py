"""Runs a workflow in memory for a test: the real engine, replies for the model, time under control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from opentelemetry.sdk.resources import Resource

from app.domain import ids
from app.domain.errors import Failure
from app.domain.job import TraceContext
from app.engine import codec
from app.engine.catalogue import Catalogue
from app.engine.declaration import refuse_unbuilt
from app.engine.journal import MemoryJournal
from app.engine.memory_children import MemoryChildren
from app.engine.perform import Failed, Parked, Run, Succeeded, perform
from app.engine.replies import MissingReply, Replies, Reply, ScriptedGateway
from app.engine.run import Account
from app.engine.virtual import VirtualClock
from app.engine.workflow import Workflow
from app.telemetry.traces import Tracing

__all__ = ["JobFailed", "MemoryJournal", "MissingReply", "Reply", "run"]

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741
_START = datetime(2030, 1, 1, tzinfo=UTC)
_MOST_RUNS = 1000
_PROJECT = UUID(int=0)


class JobFailed(Exception):
    """The job ended as failed; `failure` has class, code, detail and step."""

    def __init__(self, failure: Failure) -> None:
        where = failure.step or "workflow"
        super().__init__(f"{failure.error_class.value} {failure.code} at {where}: {failure.detail}")
        self.failure = failure


async def run(
    workflow: Workflow[I, O],
    input: I | Mapping[str, Any],
    *,
    replies: Replies | None = None,
    journal: MemoryJournal | None = None,
    at: datetime | None = None,
    workflows: Sequence[Workflow[Any, Any]] = (),
    deltas: list[tuple[str, Any]] | None = None,
) -> O:
    """The workflow's output for this input, after as many parks and resumed runs as it takes.

    `replies` answer its model steps, by step name or (name, key): a dict, model, text, Reply or exception to raise, or
    a list of successive ones. Sleeps and back-offs pass at once, from `at` on (default: 1 January 2030). A `journal`
    from an earlier run makes this one go on from its records. Children run one after the other, with the same replies;
    `workflows` are those it spawns by name. `deltas` gets what streaming clients would: (kind, data).
    Raises JobFailed, MissingReply, and ValidationError for a mapping that the API would refuse.
    """
    house = house_of(workflow, replies or {}, at or _START, workflows, deltas)
    outcome = await house.to_the_end(workflow, _stored(workflow, input), journal)
    if isinstance(outcome, Failed):
        raise JobFailed(outcome.failure)
    return codec.load(workflow.output_adapter, outcome.output)


@dataclass(frozen=True, slots=True)
class House:
    """What the jobs of one test share."""

    gateway: ScriptedGateway
    clock: VirtualClock
    catalogue: Catalogue
    deltas: list[tuple[str, Any]] | None

    async def to_the_end(
        self, workflow: Workflow[Any, Any], body: bytes, journal: MemoryJournal | None = None
    ) -> Succeeded | Failed:
        """How a job ends. Raises RuntimeError for one that parks for ever."""
        children = MemoryChildren(self.catalogue, self._child)
        current, reason = self._first_run(workflow, body, journal, children), None
        for _ in range(_MOST_RUNS):
            outcome = await perform(workflow, current)
            if not isinstance(outcome, Parked):
                return outcome
            # The end of children is an event: no clock has to come to the parent's next look.
            if not await children.run_waiting():
                self.clock.move_to(outcome.until)
            current, reason = _resumed(current, outcome), outcome.reason
        raise RuntimeError(f"the job was parked {_MOST_RUNS} times and never ended; the last reason: {reason}")

    async def _child(self, workflow: Workflow[Any, Any], body: bytes) -> Succeeded | Failed:
        return await self.to_the_end(workflow, body)

    def _first_run(
        self, workflow: Workflow[Any, Any], body: bytes, journal: MemoryJournal | None, children: MemoryChildren
    ) -> Run:
        kept, deltas = journal or MemoryJournal(), self.deltas
        return Run(
            job_id=kept.job_id,
            project_id=_PROJECT,
            lane=workflow.lane,
            attempt=1,
            input=body,
            resumed=journal is not None,
            trace=TraceContext(ids.trace_id(), ids.span_id()),
            journal=kept,
            gateway=self.gateway,
            tracing=Tracing(None, Resource.get_empty()),
            clock=self.clock,
            children=children,
            on_delta=None if deltas is None else lambda kind, data: deltas.append((kind, data)),
            test_mode=True,
        )


def house_of(
    workflow: Workflow[Any, Any],
    replies: Replies,
    at: datetime,
    workflows: Sequence[Workflow[Any, Any]] = (),
    deltas: list[tuple[str, Any]] | None = None,
) -> House:
    """A house for this workflow and those that it spawns by name, where it is `at`."""
    refuse_unbuilt(workflow.fn)
    clock = VirtualClock(at)
    return House(ScriptedGateway(replies, clock), clock, Catalogue([workflow, *workflows]), deltas)


def _stored(workflow: Workflow[I, O], payload: I | Mapping[str, Any]) -> bytes:
    if isinstance(payload, Mapping):
        return codec.dump(workflow.input_adapter, workflow.validate_input(payload))
    return codec.dump(workflow.input_adapter, payload)


def _resumed(before: Run, parked: Parked) -> Run:
    return replace(
        before,
        attempt=before.attempt + int(parked.charged),
        resumed=True,
        usage=before.usage + parked.usage,
        account=Account(),
    )
