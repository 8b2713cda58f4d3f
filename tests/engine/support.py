"""What the engine's tests share: runs with every part real, in memory, under a virtual clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.sdk.resources import Resource

from app.domain import canonical, ids
from app.domain.clock import Clock
from app.domain.job import TraceContext
from app.engine.journal import MemoryJournal
from app.engine.perform import Outcome, perform
from app.engine.replies import Replies, ScriptedGateway
from app.engine.run import Run
from app.engine.virtual import VirtualClock
from app.engine.workflow import Workflow
from app.telemetry.traces import Tracing
from laneway import Context, Policy, workflow
from laneway.testing import JobFailed, run

START = datetime(2030, 1, 1, tzinfo=UTC)
PROJECT = UUID(int=7)


def make_run(value: Any, *, replies: Replies | None = None, clock: Clock | None = None, **changes: Any) -> Run:
    """A first run of a new job with this input; `changes` are fields of Run."""
    clock = clock or VirtualClock(START)
    journal = changes.get("journal") or MemoryJournal()
    given: dict[str, Any] = {
        "job_id": getattr(journal, "job_id", None) or ids.uuid7(),
        "project_id": PROJECT,
        "lane": "standard",
        "attempt": 1,
        "input": canonical.dump(value),
        "resumed": False,
        "trace": TraceContext(ids.trace_id(), ids.span_id()),
        "journal": journal,
        "gateway": ScriptedGateway(replies or {}, clock),
        "tracing": Tracing(None, Resource.get_empty()),
        "clock": clock,
    }
    return Run(**{**given, **changes})


class Flaky:
    """A dependency that fails so many times, then works; it counts its calls."""

    def __init__(self, *errors: BaseException) -> None:
        self._errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return "done"


def flow(fn: Any, *args: Any, policy: Policy | None = None) -> Workflow[str, Any]:
    """A workflow of one step."""

    @workflow("one-step", version="1")
    async def one_step(ctx: Context, _: str) -> dict[str, Any]:
        return {"result": await ctx.step("only", fn, *args, policy=policy)}

    return one_step


async def result(fn: Any, *args: Any, policy: Policy | None = None) -> Any:
    """What the step gives, after as many runs as it takes."""
    return (await run(flow(fn, *args, policy=policy), "x"))["result"]


async def once(fn: Any, *args: Any, policy: Policy | None = None, **changes: Any) -> tuple[Outcome, MemoryJournal]:
    """One run, and its journal."""
    journal = MemoryJournal()
    return await perform(flow(fn, *args, policy=policy), make_run("x", journal=journal, **changes)), journal


async def failure_of(fn: Any, *args: Any, policy: Policy | None = None) -> Any:
    """How the job fails."""
    with pytest.raises(JobFailed) as caught:
        await result(fn, *args, policy=policy)
    return caught.value.failure
