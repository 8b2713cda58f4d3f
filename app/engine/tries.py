"""The tries of one step: until it succeeds, is answered in another way, fails for good, or must wait without a slot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from pydantic import AwareDatetime, TypeAdapter

from app.domain import ids
from app.domain.call import Call, CallOutcome
from app.domain.errors import (
    Failure,
    Fault,
    InputError,
    MustWait,
    ProcessingError,
    ProviderAuth,
    RateLimited,
    SystemFault,
    TransientError,
)
from app.domain.job import Reason, TraceContext
from app.domain.step import StepPlace, StepRecord, StepStatus, Via
from app.engine import codec
from app.engine.backoff import DOWN_WAIT_S, LAST_TRY, SHORTEST_WAIT_S, limited_wait_s, retry_wait_s
from app.engine.book import Book
from app.engine.fault import failure_from, fault_of, raise_if_canceled, revived
from app.engine.guard import guarded
from app.engine.lacks import Lacks
from app.engine.notice import note_failure
from app.engine.run import Run
from app.engine.suspension import Suspension, Suspensions
from app.engine.work import CURRENT_STEP, Try, Work, misuse, step_trace
from app.telemetry import names
from app.telemetry.traces import SpanRecord, within

T = TypeVar("T")
MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class Hold(Protocol):
    """Waits until then: a short wait stays in the slot, a longer one raises Suspension."""

    async def __call__(
        self,
        until: datetime,
        reason: Reason,
        *,
        charged: bool = False,
        failure: Failure | None = None,
        pool: str | None = None,
    ) -> None: ...


@dataclass(slots=True)
class _Course:
    """How far the tries of one step have come in this run."""

    trace: TraceContext
    started_at: datetime
    tries: int
    limited: int = 0
    # When its last call ended, and how long after the call before it that one began.
    called_at: datetime | None = None
    before_s: float = 0.0
    # When a try first failed in this run.
    failed_at: datetime | None = None
    # Since when it waits for a credential that is refused.
    refused_at: datetime | None = None
    via: Via | None = None
    cached: bool = False
    calls: list[Call] = field(default_factory=list)


class Tries:
    """Those of all steps of one run; each ends in a record."""

    def __init__(self, run: Run, book: Book, suspensions: Suspensions, hold: Hold, lacks: Lacks) -> None:
        self._run = run
        self._book = book
        self._suspensions = suspensions
        self._hold = hold
        self._lacks = lacks

    async def take(self, work: Work[T], record: StepRecord | None) -> T:
        """The step's result, going on from its record. Raises its final failure as a Fault, or Suspension."""
        course = self._course(work, record)
        if work.known is not None and (output := await work.known()) is not None:
            course.cached = True
            await self._end(work, course, StepStatus.SUCCEEDED, output, None)
            return codec.load(work.adapter, output)
        if work.lasting and record is None:
            await self._write(work, course, StepStatus.RETRYING, None, None)
        return await self._try_on(work, course)

    def _course(self, work: Work[Any], record: StepRecord | None) -> _Course:
        run, begun = self._run, record.span_id if record else None
        trace = step_trace(run.job_id, run.attempt, run.trace, work.identity, begun)
        if record is None:
            return _Course(trace, run.clock.now(), 0)
        refused = record.error is not None and record.error.code == ProviderAuth.default_code
        refused_at = record.ended_at if refused else None
        return _Course(trace, record.started_at, record.tries, refused_at=refused_at)

    async def _try_on(self, work: Work[T], course: _Course) -> T:
        while True:
            try:
                output, value = await guarded(self._run, work, lambda: self._one_try(work, course, work.act))
            except MustWait as wait:
                if wait.reason == Reason.PROVIDER_DOWN:
                    return await self._closed_to(work, course, wait)
                if wait.reason == Reason.PROVIDER_AUTH:
                    return await self._refused(work, course, wait)
                until = max(wait.until, self._after(SHORTEST_WAIT_S))
                await self._hold(until, Reason(wait.reason), pool=wait.pool)
            except RateLimited as fault:
                course.limited += 1
                await self._hold(self._after(limited_wait_s(course.limited, fault.retry_after_s)), Reason.RATE_LIMIT)
            except Fault as fault:
                if (failure := await self._failed(work, course, fault)) is not None:
                    return await self._failed_for_good(work, course, fault, failure)
            else:
                course.tries += 1
                await self._end(work, course, StepStatus.SUCCEEDED, output, None)
                return value

    async def _closed_to(self, work: Work[T], course: _Course, wait: MustWait) -> T:
        """A breaker is open: the value by another way, or none where the step is not critical. Raises Suspension."""
        if (found := await self._another_way(work, course)) is not None:
            return found[0]
        named = f"the breaker {wait.breaker!r} is open"
        what = named if wait.breaker else f"pool {wait.pool!r} does not answer" if wait.pool else "nobody answers"
        fault = TransientError(f"step {work.name!r} was not tried: {what}", code="provider_unavailable")
        failure = failure_from(fault, work.name)
        if work.policy.critical:
            until = max(wait.until, self._after(DOWN_WAIT_S))
            self._suspensions.throw(Suspension(Reason.PROVIDER_DOWN, until, failure=failure, pool=wait.pool))
        return await self._leave_out(work, course, failure)

    async def _refused(self, work: Work[T], course: _Course, wait: MustWait) -> T:
        """A provider refuses our credential: as where it is down, but not for ever. Raises Suspension; its failure."""
        fault = ProviderAuth(f"step {work.name!r} was not tried: the credential of pool {wait.pool!r} is refused")
        failure, now = failure_from(fault, work.name), self._run.clock.now()
        if (found := await self._another_way(work, course)) is not None:
            return found[0]
        if not work.policy.critical:
            return await self._leave_out(work, course, failure)
        if course.refused_at is None:
            course.refused_at = now
            # The record tells later runs since when it waits.
            await self._write(work, course, StepStatus.RETRYING, None, failure)
        last = course.refused_at + timedelta(seconds=self._run.refused_wait_s)
        if now >= last:
            await self._end(work, course, StepStatus.FAILED, None, failure)
            raise revived(failure) from fault
        until = min(last, max(wait.until, self._after(DOWN_WAIT_S)))
        self._suspensions.throw(Suspension(Reason.PROVIDER_AUTH, until, failure=failure, pool=wait.pool))

    async def _failed_for_good(self, work: Work[T], course: _Course, fault: Fault, failure: Failure) -> T:
        """The value by another way, or none where the step is not critical. Raises the failure."""
        # What is wrong with the input is wrong for every way.
        if not isinstance(fault, InputError) and (found := await self._another_way(work, course)) is not None:
            return found[0]
        if not work.policy.critical:
            return await self._leave_out(work, course, failure)
        await self._end(work, course, StepStatus.FAILED, None, failure)
        raise revived(failure) from fault

    async def _another_way(self, work: Work[T], course: _Course) -> tuple[T] | None:
        """The value by the first of its other ways that has one. What a way meets is only told in the log."""
        for way in work.ways:
            try:
                output, value = await self._one_try(work, course, way.act)
            except (Fault, MustWait) as error:
                note_failure("fallback failed", error, failure_from(error, work.name))
                continue
            course.via = way.via
            await self._end(work, course, StepStatus.SUCCEEDED, output, None)
            return (value,)
        return None

    async def _leave_out(self, work: Work[T], course: _Course, failure: Failure) -> T:
        await self._end(work, course, StepStatus.FAILED, None, failure)
        return left_out(work)

    async def _one_try(self, work: Work[T], course: _Course, act: Callable[[Try], Awaitable[Any]]) -> tuple[bytes, T]:
        """The result as recorded and as read back. Raises Fault and MustWait only, besides what unwinds the run."""
        if self._run.may_start is not None:
            await self._book.guarded(self._run.may_start())
        course.via, course.cached = None, False
        self._run.doing[work.identity] = self._run.clock.now()
        token = CURRENT_STEP.set(work.identity)
        try:
            with within(course.trace):
                came, known = partial(setattr, course, "via"), partial(setattr, course, "cached", True)
                note, unfit = self._note_in(work, course), self._unfit_in(course)
                raw = await act(Try(course.trace, note, came, known, unfit, course.started_at, course.tries > 0))
        except MustWait:
            raise
        except asyncio.CancelledError as error:
            raise_if_canceled(error)
            raise ProcessingError("the step canceled itself") from error
        except (Exception, SystemExit) as error:
            raise fault_of(error) from error
        finally:
            CURRENT_STEP.reset(token)
            self._run.doing.pop(work.identity, None)
        return _read_back(work, raw)

    def _note_in(self, work: Work[Any], course: _Course) -> Callable[[Call], None]:
        def note(call: Call) -> None:
            course.calls.append(call)
            course.before_s = (call.started_at - (course.called_at or call.started_at)).total_seconds()
            course.called_at = call.ended_at
            self._run.account.add(call, StepPlace(work.name, work.key, course.trace.span_id))

        return note

    def _unfit_in(self, course: _Course) -> Callable[[], None]:
        def unfit() -> None:
            if course.calls and course.calls[-1].outcome is CallOutcome.SUCCEEDED:
                course.calls[-1] = replace(course.calls[-1], outcome=CallOutcome.INVALID)
                self._run.account.revise(course.calls[-1])

        return unfit

    async def _failed(self, work: Work[Any], course: _Course, fault: Fault) -> Failure | None:
        """None when another try may start, the failure when it is final. Raises Suspension when it must wait."""
        failure = failure_from(fault, work.name)
        note_failure("try failed", fault, failure)
        if isinstance(fault, SystemFault) and not isinstance(fault, ProviderAuth):
            self._book.trouble(fault, work.name)
        course.tries += 1
        if not isinstance(fault, TransientError) or course.tries >= work.policy.tries:
            return failure
        wait_s = retry_wait_s(course.tries, work.policy.backoff_s, fault.retry_after_s, course.before_s)
        until = self._after(wait_s)
        course.failed_at = course.failed_at or self._run.clock.now()
        if course.tries == work.policy.tries - 1:
            until = max(until, course.failed_at + timedelta(seconds=LAST_TRY * work.policy.backoff_s))
        # A step between tries keeps the time of its next one, for a run that another branch wakes earlier.
        await self._write(work, course, StepStatus.RETRYING, codec.dump(MOMENT, until), failure)
        await self._hold(until, Reason.RETRY, charged=True, failure=failure)
        return None

    def _after(self, wait_s: float) -> datetime:
        return self._run.clock.now() + timedelta(seconds=wait_s)

    async def _end(
        self, work: Work[Any], course: _Course, status: StepStatus, output: bytes | None, failure: Failure | None
    ) -> None:
        record = await self._write(work, course, status, output, failure)
        if failure is None or not work.policy.critical:
            self._lacks.note(record)
        via = {names.VIA: record.via.value} if record.via else {}
        attributes: dict[str, str | int | float | bool] = {
            **via,
            names.JOB_ID: ids.show("job", self._run.job_id),
            # Without its key, which an author may have made of the content.
            names.STEP: work.name,
            names.TRY: record.tries,
            names.STATUS: status.value,
        }
        span = SpanRecord(
            kind="step",
            name=work.name,
            trace=course.trace,
            started_at=record.started_at,
            ended_at=record.ended_at,
            attributes=attributes,
            error=failure.code if failure else None,
        )
        self._run.tracing.emit(span)

    async def _write(
        self, work: Work[Any], course: _Course, status: StepStatus, output: bytes | None, failure: Failure | None
    ) -> StepRecord:
        record = StepRecord(
            name=work.name,
            key=work.key,
            kind=work.kind,
            status=status,
            tries=course.tries,
            args_digest=work.digest,
            output=output,
            error=failure,
            started_at=course.started_at,
            ended_at=self._run.clock.now(),
            attempt=self._run.attempt,
            span_id=course.trace.span_id,
            cached=course.cached and status is StepStatus.SUCCEEDED,
            via=course.via if status is StepStatus.SUCCEEDED else None,
        )
        await self._book.write(record, course.calls)
        return record


def left_out(_: Work[T]) -> T:
    """What stands for the value of a step that is not critical and has none."""
    return cast(T, None)


def _read_back(work: Work[T], raw: Any) -> tuple[bytes, T]:
    try:
        output = codec.dump(work.adapter, raw)
        return output, codec.load(work.adapter, output)
    except codec.NotRecordable as error:
        raise misuse(work.identity, f"returned what can't be recorded as its return annotation says: {error}") from None
