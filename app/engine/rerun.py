"""Runs a failed job again for a test: in memory, over what it recorded, without network, as often as one likes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from app.domain import canonical
from app.domain.errors import ErrorClass, Failure
from app.domain.job import NO_USAGE
from app.engine import codec
from app.engine.journal import MemoryJournal
from app.engine.perform import Failed, Succeeded
from app.engine.record import JobRecord
from app.engine.replies import Replies
from app.engine.testing import JobFailed, house_of
from app.engine.workflow import Workflow

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741
_LOST = "worker_lost"
_OUTCOME: TypeAdapter[Succeeded | Failed] = TypeAdapter(Succeeded | Failed)
_RAISED = b"raised "
_TOUCHES = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"})


class NetworkUsed(BaseException):
    """A step that runs again reaches for the network. Not an Exception: no workflow can take it for an outage."""


def rerun(
    workflow: Workflow[I, O],
    record: Path,
    *,
    replies: Replies | None = None,
    live: Collection[str] = (),
    workflows: Sequence[Workflow[Any, Any]] = (),
) -> O:
    """The workflow's output for the job in the file `record`, which `laneway jobs test` has written.

    Finished steps are read from the record, and so are failures of class transient and system; models answer as they
    did. All else runs: the function itself, steps that failed, steps that the job had not reached, and those named in
    `live`. `replies` are for model steps that were not reached, or are to be answered otherwise, as in `run`;
    `workflows` are those it spawns by name. Where a worker died under the job, it runs in a process of its own.
    Raises JobFailed, MissingReply, NetworkUsed, and ValidationError for a file that is no record.
    """
    job = JobRecord.model_validate(canonical.load(record.read_bytes()))
    answers: Replies = {**_unless_given(job.replies(), replies or {}), **(replies or {})}

    def act() -> Succeeded | Failed:
        house = house_of(workflow, answers, job.started_at, workflows)
        journal = MemoryJournal(job.job_id, job.records(live))
        with _offline():
            return asyncio.run(house.to_the_end(workflow, canonical.dump(job.input), journal))

    outcome = _apart(act) if job.error.code == _LOST else act()
    if isinstance(outcome, Failed):
        raise JobFailed(outcome.failure)
    return codec.load(workflow.output_adapter, outcome.output)


def _unless_given(recorded: dict[tuple[str, str], list[Any]], given: Replies) -> Replies:
    return {step: answers for step, answers in recorded.items() if step not in given and step[0] not in given}


_offline_depth = [0]
_hooked: list[bool] = []


@contextmanager
def _offline() -> Iterator[None]:
    """No connection leaves this process: a test that needs one would not be the same tomorrow."""
    if not _hooked:
        sys.addaudithook(_refuse)
        _hooked.append(True)
    _offline_depth[0] += 1
    try:
        yield
    finally:
        _offline_depth[0] -= 1


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if _offline_depth[0] and event in _TOUCHES:
        raise NetworkUsed(f"{event}: the rerun of a job has no network; read the step from the record, or mend it")


def _apart(act: Callable[[], Succeeded | Failed]) -> Succeeded | Failed:
    """The outcome of `act` in a child process: what kills it fails the job, and not the test run."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(_told(act))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not told:
        how = f"signal {-ended}" if ended < 0 else f"exit code {ended}"
        return Failed(usage=NO_USAGE, failure=Failure(ErrorClass.SYSTEM, _LOST, f"its process ended with {how}"))
    if told.startswith(_RAISED):
        raise RuntimeError(told.removeprefix(_RAISED).decode())
    return _OUTCOME.validate_json(told)


def _told(act: Callable[[], Succeeded | Failed]) -> bytes:
    try:
        return _OUTCOME.dump_json(act())
    except BaseException as error:
        return _RAISED + f"{type(error).__name__}: {error}".encode()
