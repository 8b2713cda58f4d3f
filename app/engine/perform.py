"""Performs one run of a job: the author's function over its records, ending in an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from app.domain.errors import ErrorClass, Failure, ProcessingError, ProviderAuth, SystemFault
from app.engine import codec
from app.engine.book import system_suspension
from app.engine.context import Context
from app.engine.fault import failure_from, raise_if_canceled
from app.engine.journal import OwnershipLost
from app.engine.notice import note_failure
from app.engine.outcome import Failed, Outcome, Parked, Succeeded
from app.engine.run import Account, Run
from app.engine.steps import Steps
from app.engine.suspension import Suspension, Suspensions
from app.engine.workflow import Workflow

__all__ = ["Account", "Failed", "Outcome", "Parked", "Run", "Succeeded", "perform"]

_SWALLOWED = (
    "the workflow caught what suspends it: write `except Exception`, never a bare except or BaseException, "
    "and ctx.gather in place of asyncio.gather"
)


class _RunTimeout(Exception):
    """The function ran longer than the author or, when `by_client`, the client allows."""

    def __init__(self, by_client: bool) -> None:
        super().__init__()
        self.by_client = by_client


async def perform(workflow: Workflow[Any, Any], run: Run) -> Outcome:
    """Run the job's function from the top over its records.

    Raises CancelledError and OwnershipLost only; what was spent until then stands in `run.account`.
    """
    suspensions = Suspensions()
    steps = Steps(run, suspensions)
    try:
        output = await _closed(steps, _output(workflow, run, steps))
    except Suspension as suspension:
        return _parked(run, suspension)
    except (Exception, SystemExit, BaseExceptionGroup) as error:
        return _failed(workflow, run, _unwrapped(error), suspensions)
    if suspensions.swallowed():
        return _failed(workflow, run, ProcessingError(_SWALLOWED), suspensions)
    return Succeeded(
        output=output,
        degraded=steps.lacks.told,
        incomplete=steps.lacks.again,
        usage=run.account.usage,
        late_calls=run.account.late_calls,
    )


async def _closed(steps: Steps, work: Awaitable[bytes]) -> bytes:
    """Its result, once nothing of the run goes on any more, so that all calls are accounted for."""
    try:
        return await work
    except Suspension:
        await steps.background.finish()
        raise
    finally:
        await steps.close()


async def _output(workflow: Workflow[Any, Any], run: Run, steps: Steps) -> bytes:
    try:
        value = codec.load(workflow.input_adapter, run.input)
    except codec.NotRecordable as error:
        raise ProcessingError(f"the stored input does not fit the workflow's input type: {error}") from None
    result = await _bounded(workflow, run, Context(steps, workflow.max_cost_nanos), value)
    try:
        return codec.publish(workflow.output_adapter, result)
    except codec.NotRecordable as error:
        text = f"the workflow returned what does not fit its return annotation: {error}"
        raise ProcessingError(text, code="output_invalid") from None


async def _bounded(workflow: Workflow[Any, Any], run: Run, context: Context, value: Any) -> Any:
    left_s = _left_s(run)
    scope = asyncio.timeout(max(0.0, min(workflow.timeout_s, left_s)))
    try:
        async with scope:
            return await workflow.fn(context, value)
    except TimeoutError as error:
        if scope.expired():
            raise _RunTimeout(by_client=left_s <= workflow.timeout_s) from error
        raise
    except asyncio.CancelledError as error:
        raise_if_canceled(error)
        raise ProcessingError("the workflow canceled itself") from error


def _left_s(run: Run) -> float:
    """Seconds until the client's deadline."""
    return float("inf") if run.deadline is None else (run.deadline - run.clock.now()).total_seconds()


def _unwrapped(error: BaseException) -> BaseException:
    """Of a group raised by a TaskGroup: a lost job as it is, any other as its first member."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    lost, others = error.split(OwnershipLost)
    if lost is not None:
        raise OwnershipLost
    return _unwrapped(others.exceptions[0]) if others is not None else error


def _parked(run: Run, suspension: Suspension) -> Parked:
    return Parked(
        reason=suspension.reason,
        until=suspension.until,
        charged=suspension.charged,
        failure=suspension.failure,
        pool=suspension.pool,
        usage=run.account.usage,
        late_calls=run.account.late_calls,
    )


def _failed(workflow: Workflow[Any, Any], run: Run, error: BaseException, suspensions: Suspensions) -> Failed | Parked:
    expired = isinstance(error, _RunTimeout) and error.by_client
    if isinstance(error, _RunTimeout):
        whose = "the client's deadline passed" if expired else f"it ran longer than {workflow.timeout_s:g} s"
        failure = Failure(ErrorClass.TRANSIENT, "run_timeout", whose)
    elif suspensions.swallowed():
        failure = failure_from(ProcessingError(_SWALLOWED))
    elif isinstance(error, SystemFault) and not isinstance(error, ProviderAuth):
        return _parked(run, system_suspension(run, error))
    else:
        failure = failure_from(error)
    note_failure("run failed", error, failure, final=True)
    return Failed(failure=failure, expired=expired, usage=run.account.usage, late_calls=run.account.late_calls)
