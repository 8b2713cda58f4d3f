"""Steps of one run: a finished one is read from its record, an unfinished one is tried until it ends or must wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import AwareDatetime, TypeAdapter

from app.domain import ids
from app.domain.call import Call
from app.domain.errors import (
    Failure,
    Fault,
    MustWait,
    ProcessingError,
    ProviderAuth,
    RateLimited,
    SystemFault,
    TransientError,
)
from app.domain.job import Reason, TraceContext
from app.domain.step import StepPlace, StepRecord, StepStatus
from app.engine import codec
from app.engine.background import Background
from app.engine.backoff import SHORTEST_WAIT_S, SLOT_WAIT_S, limited_wait_s, retry_wait_s
from app.engine.book import Book
from app.engine.fault import failure_from, fault_of, raise_if_canceled, revived
from app.engine.notice import note_failure, note_without_effect
from app.engine.run import Run
from app.engine.suspension import Suspension, Suspensions
from app.engine.work import CURRENT_STEP, Try, Work, misuse, step_trace
from app.telemetry import names
from app.telemetry.traces import SpanRecord, within

T = TypeVar("T")
MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


@dataclass(slots=True)
class _Course:
    """How far the tries of one step have come in this run."""

    trace: TraceContext
    started_at: datetime
    tries: int
    limited: int = 0
    calls: list[Call] = field(default_factory=list)


class Steps:
    """Takes the steps of one run, each at most once."""

    def __init__(self, run: Run, suspensions: Suspensions) -> None:
        self.run = run
        self.suspensions = suspensions
        self.background = Background(suspensions)
        self._book = Book(run, suspensions)
        self._taken: set[tuple[str, str]] = set()
        self._closed = False
        # While a resumed run only reads what an earlier one recorded, it tells nobody anything: they were told.
        self._replaying = run.resumed
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """The run is over: what goes on beside it is stopped, and a task left behind can take no more steps."""
        self._closed = True
        await self.background.stop()

    async def take(self, work: Work[T]) -> T:
        """The step's recorded result. Raises its recorded failure as a Fault, or Suspension."""
        self._enter(work)
        record = await self._book.find(work)
        if record is not None and record.status is not StepStatus.RETRYING:
            return _recorded(work, record)
        if record is not None and record.output is not None:
            await self.hold(codec.load(MOMENT, record.output), Reason.RETRY)
        self._replaying = False
        course = self._course(work, record)
        if work.lasting and record is None:
            await self._write(work, course, StepStatus.RETRYING, None, None)
        return await self._try_on(work, course)

    def tell(self, listener: Callable[..., None] | None, *what: Any) -> None:
        """Tell somebody who listens how far the run is; from the loop, or from the thread of a step."""
        if listener is None or self._replaying:
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._loop.call_soon_threadsafe(listener, *what)
        else:
            listener(*what)

    async def hold(
        self, until: datetime, reason: Reason, *, charged: bool = False, failure: Failure | None = None
    ) -> None:
        """Wait until then: a short wait stays in the slot, a longer one suspends."""
        wait_s = (until - self.run.clock.now()).total_seconds()
        if wait_s > SLOT_WAIT_S:
            self.suspensions.throw(Suspension(reason, until, charged=charged, failure=failure))
        if wait_s > 0:
            await self.run.clock.sleep(wait_s)
        # Nobody knows whether an earlier run had come this far.
        self._replaying = False

    def _enter(self, work: Work[Any]) -> None:
        if self._closed:
            raise misuse(work.identity, "was started after the workflow had ended")
        if work.identity in self._taken:
            raise misuse(work.identity, "is there twice: give each its own name, or a key=, for instance the item's id")
        self._taken.add(work.identity)
        note_without_effect(work.policy.without_effect)

    def _course(self, work: Work[Any], record: StepRecord | None) -> _Course:
        run, begun = self.run, record.span_id if record else None
        trace = step_trace(run.job_id, run.attempt, run.trace, work.identity, begun)
        if record is None:
            return _Course(trace, run.clock.now(), 0)
        return _Course(trace, record.started_at, record.tries)

    async def _try_on(self, work: Work[T], course: _Course) -> T:
        while True:
            try:
                output, value = await self._one_try(work, course)
            except MustWait as wait:
                await self.hold(max(wait.until, self._after(SHORTEST_WAIT_S)), Reason(wait.reason))
            except RateLimited as fault:
                course.limited += 1
                await self.hold(self._after(limited_wait_s(course.limited, fault.retry_after_s)), Reason.RATE_LIMIT)
            except Fault as fault:
                await self._failed(work, course, fault)
            else:
                course.tries += 1
                await self._end(work, course, StepStatus.SUCCEEDED, output, None)
                return value

    async def _one_try(self, work: Work[T], course: _Course) -> tuple[bytes, T]:
        """The result as recorded and as read back. Raises Fault and MustWait only, besides what unwinds the run."""
        if self.run.may_start is not None:
            await self._book.guarded(self.run.may_start())
        self.run.doing[work.identity] = self.run.clock.now()
        token = CURRENT_STEP.set(work.identity)
        try:
            with within(course.trace):
                raw = await work.act(Try(course.trace, self._note_in(work, course)))
        except MustWait:
            raise
        except asyncio.CancelledError as error:
            raise_if_canceled(error)
            raise ProcessingError("the step canceled itself") from error
        except (Exception, SystemExit) as error:
            raise fault_of(error) from error
        finally:
            CURRENT_STEP.reset(token)
            self.run.doing.pop(work.identity, None)
        return _read_back(work, raw)

    def _note_in(self, work: Work[Any], course: _Course) -> Callable[[Call], None]:
        def note(call: Call) -> None:
            course.calls.append(call)
            self.run.account.add(call, StepPlace(work.name, work.key, course.trace.span_id))

        return note

    async def _failed(self, work: Work[Any], course: _Course, fault: Fault) -> None:
        """Return when another try may start. Raises the failure when it is final, Suspension when it must wait."""
        failure = failure_from(fault, work.name)
        note_failure("try failed", fault, failure)
        if isinstance(fault, SystemFault) and not isinstance(fault, ProviderAuth):
            self._book.trouble(fault, work.name)
        course.tries += 1
        if not isinstance(fault, TransientError) or course.tries >= work.policy.tries:
            await self._end(work, course, StepStatus.FAILED, None, failure)
            raise revived(failure) from fault
        until = self._after(retry_wait_s(course.tries, work.policy.backoff_s, fault.retry_after_s))
        # A step between tries keeps the time of its next one, for a run that another branch wakes earlier.
        await self._write(work, course, StepStatus.RETRYING, codec.dump(MOMENT, until), failure)
        await self.hold(until, Reason.RETRY, charged=True, failure=failure)

    def _after(self, wait_s: float) -> datetime:
        return self.run.clock.now() + timedelta(seconds=wait_s)

    async def _end(
        self, work: Work[Any], course: _Course, status: StepStatus, output: bytes | None, failure: Failure | None
    ) -> None:
        record = await self._write(work, course, status, output, failure)
        attributes: dict[str, str | int | float | bool] = {
            names.JOB_ID: ids.show("job", self.run.job_id),
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
        self.run.tracing.emit(span)

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
            ended_at=self.run.clock.now(),
            attempt=self.run.attempt,
            span_id=course.trace.span_id,
        )
        await self._book.write(record, course.calls)
        return record


def _recorded(work: Work[T], record: StepRecord) -> T:
    if record.error is not None:
        raise revived(record.error)
    try:
        return codec.load(work.adapter, record.output or b"null")
    except codec.NotRecordable as error:
        text = f"has a record that no longer fits its type: {error}"
        raise misuse(work.identity, text, code="replay_mismatch") from None


def _read_back(work: Work[T], raw: Any) -> tuple[bytes, T]:
    try:
        output = codec.dump(work.adapter, raw)
        return output, codec.load(work.adapter, output)
    except codec.NotRecordable as error:
        raise misuse(work.identity, f"returned what can't be recorded as its return annotation says: {error}") from None
