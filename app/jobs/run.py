"""Runs one job in a slot: claim, perform, settle, tell."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from app.bell.ring import Ring
from app.bell.wake import Wake
from app.domain import ids
from app.domain.budget import Spender
from app.domain.clock import Clock
from app.domain.crash import crash_here
from app.domain.errors import Failure
from app.domain.job import Claimed, Reason, Status, TraceContext, Usage
from app.domain.spans import attempt_span_id
from app.engine.catalogue import Catalogue, UnknownWorkflow
from app.engine.journal import OwnershipLost
from app.engine.outcome import Failed, Outcome, Parked
from app.engine.perform import perform
from app.engine.run import Account
from app.engine.run import Run as EngineRun
from app.gateway.breakers.breaker import Breakers
from app.gateway.budgets.purse import Purse
from app.gateway.budgets.reservation import Charge
from app.gateway.caches.cache import ExactCache
from app.gateway.calls.request import ModelGateway
from app.jobs.children import SqlChildren
from app.jobs.export import Export
from app.jobs.heart import Heart
from app.jobs.holds import Holds, Owned
from app.jobs.journal import SqlJournal
from app.jobs.outputs import Making, Outputs
from app.jobs.progress import Progress
from app.jobs.recover import tell
from app.jobs.settle import CANCELED, Settle
from app.store.announce import Moved
from app.store.children import Children
from app.store.claims import Claims
from app.store.database import StoreAway
from app.store.steps import Steps
from app.telemetry.logs import about, log
from app.telemetry.metrics import Metrics
from app.telemetry.traces import Tracing

# How long a job waits for a worker that knows its workflow version.
_UNKNOWN_S = 15.0
_AWAY_S = 0.5
# Its calls wait until those of all others went.
_UNHURRIED = "bulk"


@dataclass(frozen=True, slots=True)
class RunParts:
    """What running a job takes."""

    claims: Claims
    steps: Steps
    children: Children
    cache: ExactCache
    breakers: Breakers
    outputs: Outputs
    settle: Settle
    progress: Progress
    catalogue: Catalogue
    gateway: ModelGateway
    heart: Heart
    ring: Ring
    wake: Wake
    clock: Clock
    tracing: Tracing
    export: Export
    metrics: Metrics
    refused_wait_s: float


class Run:
    """The work of a slot. `serve` is called again and again; `cancel` and `stop` reach into what is running."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts
        self._holds = Holds()
        self._log = log("jobs")

    @property
    def held(self) -> frozenset[Owned]:
        """The jobs this worker knows that it owns."""
        return self._holds.owned

    def doing(self) -> dict[str, list[list[str]]]:
        """The longer steps that go on here, by job id."""
        return self._holds.doing(self._parts.clock.now())

    async def serve(self, lane: str) -> bool:
        """Claim and run the lane's next job; False when there is none or this worker may not start work."""
        if not self._parts.heart.fresh:
            return False
        began = self._parts.clock.monotonic()
        try:
            job = await self._parts.claims.claim(lane)
        except StoreAway as error:
            self._log.warning("claim failed", lane=lane, error=str(error))
            await self._parts.clock.sleep(_AWAY_S)
            return False
        if job is None:
            return False
        crash_here("job.claimed")
        self._holds.add(job)
        self._parts.metrics.claimed(job, self._parts.clock.monotonic() - began)
        self._parts.wake.moved([job.id], running=True)
        try:
            with about(job_id=ids.show("job", job.id), trace_id=job.trace.trace_id):
                await self._run(job)
        finally:
            self._holds.remove(job)
            self._parts.claims.let_go(job.id)
            self._parts.progress.forget(job)
        return True

    def cancel(self, job_ids: Sequence[UUID]) -> None:
        """Interrupt these jobs, if they run here, at their next await."""
        self._holds.cancel(job_ids)

    async def drop_lost(self) -> None:
        """Stop what this worker lost while it was taken for dead: others run it. Raises StoreAway."""
        count = self._holds.drop_all_but(frozenset(await self._parts.claims.owned()))
        self._log.warning("dropped", count=count)

    async def _run(self, job: Claimed) -> None:
        """Among equal jobs it keeps its place to the end, so that they wait until its output stands."""
        async with AsyncExitStack() as place:
            await self._to_the_end(job, place)

    async def _to_the_end(self, job: Claimed, place: AsyncExitStack) -> None:
        account, making = Account(), Making(job, None)
        base, base_cost = job.usage, job.attempt_cost_nanos
        try:
            if job.resumed:
                base, base_cost = await self._parts.steps.used(job)
            outcome, making = await self._perform(job, account, base, place)
        except OwnershipLost:
            await self.book(job, account)
            return
        except asyncio.CancelledError:
            await asyncio.shield(self._interrupted(job, account, base, base_cost))
            return
        except StoreAway as error:
            self._log.warning("run failed", error=str(error))
            outcome = self._parked(Reason.SYSTEM, _AWAY_S, account)
        await self.book(job, account)
        moved = await self._parts.settle.outcome(job, outcome, base, base_cost, making.known)
        crash_here("job.settled")
        if moved is not None:
            await making.ended(outcome, base + outcome.usage)
        self._left(job, moved, outcome.failure if isinstance(outcome, Failed) else None)

    async def _perform(
        self, job: Claimed, account: Account, base: Usage, place: AsyncExitStack
    ) -> tuple[Outcome, Making]:
        try:
            workflow = self._parts.catalogue.get(job.workflow, job.version)
        except UnknownWorkflow as error:
            self._log.error("workflow unknown here", workflow=job.workflow, version=job.version, error=str(error))
            return self._parked(Reason.SYSTEM, _UNKNOWN_S, account), Making(job, None)

        doing = self._holds.of(job).doing

        async def act() -> tuple[Outcome, Making]:
            begun = job.resumed and workflow.cache is not None and await self._parts.steps.begun(job.id)
            making = await place.enter_async_context(self._parts.outputs.making(workflow, job, begun=begun))
            return making.given or await perform(workflow, self._engine_run(job, account, base, doing)), making

        return await self._holds.perform(job, act())

    def mending(self, job: Claimed, account: Account, base: Usage) -> EngineRun:
        """The run of a job that has succeeded, to try again what it was delivered without; nobody waits for it."""
        whole = self._engine_run(job, account, base, {})
        return replace(whole, lane=_UNHURRIED, mends=True, deadline=None, on_progress=None, on_delta=None)

    def _engine_run(
        self, job: Claimed, account: Account, base: Usage, doing: dict[tuple[str, str], datetime]
    ) -> EngineRun:
        parts = self._parts
        return EngineRun(
            job_id=job.id,
            project_id=job.project_id,
            lane=job.lane,
            attempt=job.attempt,
            input=job.input,
            resumed=job.resumed,
            trace=_attempt(job),
            journal=SqlJournal(parts.steps, job, parts.clock, parts.claims.acquit),
            gateway=parts.gateway,
            tracing=parts.tracing,
            clock=parts.clock,
            usage=base,
            max_cost_nanos=job.max_cost_nanos,
            charge=_charge(job, account, base),
            deadline=job.finish_by,
            refused_wait_s=parts.refused_wait_s,
            test_mode=job.test_mode,
            children=SqlChildren(parts.children, parts.catalogue, job, parts.ring, parts.clock),
            on_progress=parts.progress.of(job),
            on_delta=partial(parts.wake.delta, job.id),
            may_start=parts.heart.may_start,
            cache=parts.cache,
            breakers=parts.breakers,
            workflow=job.workflow,
            version=job.version,
            account=account,
            doing=doing,
        )

    async def _interrupted(self, job: Claimed, account: Account, base: Usage, base_cost: int) -> None:
        """The task was canceled: by the client, or because this worker stops or has lost the job."""
        await self.book(job, account)
        hold = self._holds.of(job)
        if hold.lost:
            return
        usage, cost = base + account.usage, base_cost + account.usage.cost_nanos
        if hold.canceled:
            moved = await self._parts.settle.canceled(job, usage, cost)
        else:
            moved = await self._parts.settle.given_back(job, usage, cost)
        self._left(job, moved, None)

    async def book(self, job: Claimed, account: Account) -> None:
        """Calls without a record were made, and paid for, all the same."""
        while account.late:
            try:
                await self._parts.steps.book(job, account.late)
                return
            except StoreAway as error:
                self._log.warning("ledger waits", error=str(error))
                await self._parts.clock.sleep(_AWAY_S)

    def _parked(self, reason: Reason, seconds: float, account: Account) -> Parked:
        until = self._parts.clock.now() + timedelta(seconds=seconds)
        return Parked(reason=reason, until=until, charged=False, usage=account.usage)

    def _left(self, job: Claimed, moved: Moved | None, failure: Failure | None) -> None:
        """Tell of a job that is given back; nothing when it was no longer ours."""
        if moved is None:
            return
        tell([moved], self._parts.ring, self._parts.wake)
        if moved.status is Status.CANCELED:
            failure = CANCELED
        self._parts.export.settled(job, moved, failure.code if failure else None, self._parts.clock.now())


def _charge(job: Claimed, account: Account, base: Usage) -> Charge:
    """Whom the calls of this run are charged to."""
    purse = None
    if job.max_cost_nanos is not None:
        purse = Purse(job.max_cost_nanos, lambda: base.cost_nanos + account.usage.cost_nanos)
    spender = Spender(job.project_id, job.workflow, job.key_id, job.test_mode)
    return Charge(spender, job.version, job.attempt, purse)


def _attempt(job: Claimed) -> TraceContext:
    """Where the spans of this attempt hang."""
    return TraceContext(job.trace.trace_id, attempt_span_id(job.id, job.attempt), job.trace.span_id)
