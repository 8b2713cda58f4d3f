"""Runs a workflow in memory for a test: the real engine, replies for the model, time under control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from opentelemetry.sdk.resources import Resource

from app.domain import ids
from app.domain.errors import Failure
from app.domain.job import TraceContext
from app.engine import codec
from app.engine.declaration import refuse_unbuilt
from app.engine.journal import MemoryJournal
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
) -> O:
    """The workflow's output for this input, after as many parks and resumed runs as it takes.

    `replies` answer its model steps, by step name or (name, key): a dict, model, text, Reply or exception to raise, or
    a list of successive ones. Sleeps and back-offs pass at once, from `at` on (default: 1 January 2030). A `journal`
    from an earlier run makes this one go on from its records.
    Raises JobFailed, MissingReply, and ValidationError for a mapping that the API would refuse.
    """
    refuse_unbuilt(workflow.fn)
    clock = VirtualClock(at or _START)
    first = _first_run(workflow, input, journal, ScriptedGateway(replies or {}, clock), clock)
    outcome = await _to_the_end(workflow, first, clock)
    return codec.load(workflow.output_adapter, outcome.output)


def _first_run(
    workflow: Workflow[I, O],
    payload: I | Mapping[str, Any],
    journal: MemoryJournal | None,
    gateway: ScriptedGateway,
    clock: VirtualClock,
) -> Run:
    kept = journal or MemoryJournal()
    return Run(
        job_id=kept.job_id,
        project_id=_PROJECT,
        lane=workflow.lane,
        attempt=1,
        input=_stored(workflow, payload),
        resumed=journal is not None,
        trace=TraceContext(ids.trace_id(), ids.span_id()),
        journal=kept,
        gateway=gateway,
        tracing=Tracing(None, Resource.get_empty()),
        clock=clock,
        test_mode=True,
    )


def _stored(workflow: Workflow[I, O], payload: I | Mapping[str, Any]) -> bytes:
    if isinstance(payload, Mapping):
        return codec.dump(workflow.input_adapter, workflow.validate_input(payload))
    return codec.dump(workflow.input_adapter, payload)


async def _to_the_end(workflow: Workflow[Any, Any], first: Run, clock: VirtualClock) -> Succeeded:
    current, reason = first, None
    for _ in range(_MOST_RUNS):
        outcome = await perform(workflow, current)
        if isinstance(outcome, Succeeded):
            return outcome
        if isinstance(outcome, Failed):
            raise JobFailed(outcome.failure)
        clock.move_to(outcome.until)
        reason = outcome.reason
        current = _resumed(current, outcome)
    raise RuntimeError(f"the job was parked {_MOST_RUNS} times and never ended; the last reason: {reason}")


def _resumed(before: Run, parked: Parked) -> Run:
    return replace(
        before,
        attempt=before.attempt + int(parked.charged),
        resumed=True,
        usage=before.usage + parked.usage,
        account=Account(),
    )
