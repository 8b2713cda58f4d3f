"""Steps of one run: a finished one is read from its record, an unfinished one is tried until it ends or must wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from app.domain.errors import Failure
from app.domain.job import Reason
from app.domain.step import StepRecord, StepStatus
from app.engine import codec
from app.engine.background import Background
from app.engine.backoff import SLOT_WAIT_S
from app.engine.book import Book
from app.engine.fault import revived
from app.engine.lacks import Lacks
from app.engine.notice import note_without_effect
from app.engine.run import Run
from app.engine.suspension import Suspension, Suspensions
from app.engine.tries import MOMENT, Tries, left_out
from app.engine.work import Work, misuse

T = TypeVar("T")


class Steps:
    """Takes the steps of one run, each at most once."""

    def __init__(self, run: Run, suspensions: Suspensions) -> None:
        self.run = run
        self.suspensions = suspensions
        self.background = Background(suspensions)
        self.lacks = Lacks()
        self._book = Book(run, suspensions)
        self._tries = Tries(run, self._book, suspensions, self.hold, self.lacks)
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
        """The step's recorded result. Raises its recorded failure as a Fault, or Suspension.

        A step that is not critical gives None in place of a failure: its type is the author's to know.
        """
        self._enter(work)
        record = await self._book.find(work)
        if record is not None and self.run.mends and _left_out(work, record):
            record = None
        if record is not None and record.status is not StepStatus.RETRYING:
            return self._recorded(work, record)
        if record is not None and record.output is not None:
            await self.hold(codec.load(MOMENT, record.output), Reason.RETRY)
        self._replaying = False
        return await self._tries.take(work, record)

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
        self,
        until: datetime,
        reason: Reason,
        *,
        charged: bool = False,
        failure: Failure | None = None,
        pool: str | None = None,
    ) -> None:
        """Wait until then: a short wait stays in the slot, a longer one suspends; `pool` may end it before."""
        wait_s = (until - self.run.clock.now()).total_seconds()
        if wait_s > SLOT_WAIT_S:
            self.suspensions.throw(Suspension(reason, until, charged=charged, failure=failure, pool=pool))
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

    def _recorded(self, work: Work[T], record: StepRecord) -> T:
        if record.error is None or not work.policy.critical:
            self.lacks.note(record)
        if record.error is not None:
            if not work.policy.critical:
                return left_out(work)
            raise revived(record.error)
        return _read(work, record)


def _left_out(work: Work[Any], record: StepRecord) -> bool:
    return record.status is StepStatus.FAILED and not work.policy.critical


def _read(work: Work[T], record: StepRecord) -> T:
    try:
        return codec.load(work.adapter, record.output or b"null")
    except codec.NotRecordable as error:
        text = f"has a record that no longer fits its type: {error}"
        raise misuse(work.identity, text, code="replay_mismatch") from None
