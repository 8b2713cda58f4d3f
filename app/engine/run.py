"""The run: what a worker hands in to perform one claim of a job, and the account of what it spent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.domain.call import Call
from app.domain.clock import SYSTEM_CLOCK, Clock
from app.domain.job import TraceContext, Usage
from app.domain.step import StepPlace
from app.engine.children import Children
from app.engine.journal import Journal
from app.gateway.breakers.breaker import Breakers
from app.gateway.budgets.reservation import Charge
from app.gateway.caches.cache import ExactCache
from app.gateway.calls.request import ModelGateway
from app.telemetry.traces import Tracing


@dataclass(slots=True)
class Account:
    """What this run spent so far. It outlives a run that is canceled or drops its job."""

    usage: Usage = field(default_factory=Usage)
    _unwritten: dict[UUID, tuple[StepPlace, Call]] = field(default_factory=dict, init=False)

    @property
    def late_calls(self) -> tuple[Call, ...]:
        """Calls that were made, and paid for, and stand in no written step record."""
        return tuple(call for _, call in self._unwritten.values())

    @property
    def late(self) -> tuple[tuple[StepPlace, Call], ...]:
        """The same, each with the step that made it."""
        return tuple(self._unwritten.values())

    def add(self, call: Call, place: StepPlace) -> None:
        """Count a call that this step has made."""
        self.usage += call.usage
        self._unwritten[call.id] = (place, call)

    def revise(self, call: Call) -> None:
        """It ended otherwise than it was counted, at the same cost."""
        place, _ = self._unwritten[call.id]
        self._unwritten[call.id] = (place, call)

    def written(self, calls: tuple[Call, ...]) -> None:
        """These calls are durable now."""
        for call in calls:
            self._unwritten.pop(call.id, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One claim of a job. `trace` is the attempt's span; `usage` is what the job had used before this run.

    `resumed` False promises that no record exists, so that none is loaded. `deadline` is the client's (aware UTC).
    `on_progress` gets percent and step; it only notes them. `on_delta` gets what streaming clients are sent: a kind,
    `delta` (emitted by the author), `piece` (of a streamed answer) or `reset`, and JSON data. `may_start` is awaited
    before each new try of a step. `charge` says whose money calls are; without it no budget is asked. `doing` shows
    the steps, by name and key, whose try goes on, and since when.
    `refused_wait_s` is how long a step waits for a provider that refuses our credential.
    `mends`: the job has succeeded without some steps that are not critical; they are tried again, and so is what was
    recorded under arguments that came of them.
    """

    job_id: UUID
    project_id: UUID
    lane: str
    attempt: int
    input: bytes
    resumed: bool
    trace: TraceContext
    journal: Journal
    gateway: ModelGateway
    tracing: Tracing
    clock: Clock = SYSTEM_CLOCK
    usage: Usage = field(default_factory=Usage)
    breakers: Breakers | None = None
    mends: bool = False
    max_cost_nanos: int | None = None
    charge: Charge | None = None
    deadline: datetime | None = None
    refused_wait_s: float = 900.0
    test_mode: bool = False
    children: Children | None = None
    on_progress: Callable[[int, str | None], None] | None = None
    on_delta: Callable[[str, Any], None] | None = None
    may_start: Callable[[], Awaitable[None]] | None = None
    cache: ExactCache | None = None
    workflow: str = ""
    version: str = ""
    account: Account = field(default_factory=Account)
    doing: dict[tuple[str, str], datetime] = field(default_factory=dict)
