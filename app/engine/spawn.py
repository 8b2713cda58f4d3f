"""The spawn step: inputs checked before the first child starts, then a wait without a slot until all have ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from app.domain import canonical
from app.domain.errors import MustWait
from app.domain.job import Reason
from app.engine import codec
from app.engine.children import MOST_CHILDREN, RECHECK_S, ChildEnd, ChildOutcome, Declaration, Spawn
from app.engine.policies import DEFAULT
from app.engine.run import Run
from app.engine.work import Try, Work, misuse

Identity = tuple[str, str]


def spawn_work(
    run: Run, identity: Identity, given: Declaration[Any, Any] | str, inputs: Iterable[Any]
) -> Work[list[ChildOutcome[Any]]]:
    """The step that starts a child for each input and gives their outcomes. Raises ProcessingError."""
    children = run.children
    if children is None:
        raise misuse(identity, "can't start children here")
    workflow = children.declared(given) if isinstance(given, str) else given
    if not hasattr(workflow, "input_adapter"):
        raise misuse(identity, f"spawns {workflow!r}: give a workflow, or the name of one")
    bodies = _bodies(identity, workflow, list(inputs))
    digest = canonical.digest(workflow.name, [body.decode() for body in bodies])
    # By its name, a workflow promises nothing about its output.
    output: Any = Any if isinstance(given, str) else workflow.output_type
    adapter = codec.adapter_of(list[ChildOutcome[output]])

    async def act(one: Try) -> list[ChildOutcome[Any]]:
        ends = await children.ends(Spawn(*identity, one.trace, workflow, bodies, digest))
        if ends is None:
            raise MustWait(Reason.CHILDREN, run.clock.now() + timedelta(seconds=RECHECK_S))
        return [_outcome(identity, codec.adapter_of(output), end) for end in ends]

    return Work(*identity, "spawn", digest, DEFAULT, adapter, act, lasting=True)


def _bodies(identity: Identity, workflow: Declaration[Any, Any], inputs: list[Any]) -> list[bytes]:
    """The inputs as stored: a mapping is validated as the API would, anything else must be of the input's type."""
    if len(inputs) > MOST_CHILDREN:
        raise misuse(identity, f"starts {len(inputs)} children: {MOST_CHILDREN} at most; for more, submit a batch")
    return [_body(identity, workflow, place, value) for place, value in enumerate(inputs)]


def _body(identity: Identity, workflow: Declaration[Any, Any], place: int, value: Any) -> bytes:
    try:
        checked = workflow.validate_input(value) if isinstance(value, Mapping) else value
        return codec.dump(workflow.input_adapter, checked)
    except (ValidationError, codec.NotRecordable) as error:
        text = f"gives workflow {workflow.name!r} a wrong input at place {place}: {codec.explain(error)}"
        raise misuse(identity, text) from None


def _outcome(identity: Identity, adapter: Any, end: ChildEnd) -> ChildOutcome[Any]:
    if end.output is None:
        return ChildOutcome(end.status, end.job_id, error=end.error)
    try:
        return ChildOutcome(end.status, end.job_id, codec.load(adapter, end.output))
    except codec.NotRecordable as error:
        text = f"has a child whose output does not fit its workflow's type: {error}"
        raise misuse(identity, text, code="output_invalid") from None
