"""The book: the records of this job as this run knows them, loaded once, written through the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from app.domain.call import Call
from app.domain.errors import ErrorClass, Fault
from app.domain.job import Reason
from app.domain.step import StepRecord, StepWrite
from app.engine.fault import failure_from
from app.engine.notice import note_failure
from app.engine.run import Run
from app.engine.suspension import Suspension, Suspensions
from app.engine.work import Work, misuse

T = TypeVar("T")
SYSTEM_WAIT_S = 15.0


class Book:
    """Records by identity. Trouble of the house itself suspends the run and charges nothing."""

    def __init__(self, run: Run, suspensions: Suspensions) -> None:
        self._run = run
        self._suspensions = suspensions
        self._records: dict[tuple[str, str], StepRecord] | None = None if run.resumed else {}
        self._loading = asyncio.Lock()

    async def find(self, work: Work[Any]) -> StepRecord | None:
        """The record of this step. Raises ProcessingError `replay_mismatch` when its arguments were others."""
        record = (await self._all()).get(work.identity)
        if record is not None and record.args_digest != work.digest:
            if self._run.mends:
                return None
            raise misuse(
                work.identity,
                "was recorded under other arguments: what the workflow passes to it must depend only on its input "
                "and on other steps",
                code="replay_mismatch",
            )
        return record

    async def write(self, record: StepRecord, calls: list[Call]) -> None:
        """Make the record durable with the calls that made it, and empty the list. Raises OwnershipLost."""
        written = tuple(calls)
        await self.guarded(self._run.journal.write(StepWrite(record, written)))
        self._run.account.written(written)
        calls.clear()
        (await self._all())[record.identity] = record

    async def guarded(self, act: Awaitable[T]) -> T:
        """An act of the house inside the author's function: its trouble is never the author's to catch."""
        try:
            return await act
        except Exception as error:
            note_failure("house in trouble", error, failure_from(error))
            self.trouble(error)

    def trouble(self, error: Exception, step: str | None = None) -> NoReturn:
        """Suspend for the house's own trouble."""
        self._suspensions.throw(system_suspension(self._run, error, step))

    async def _all(self) -> dict[tuple[str, str], StepRecord]:
        async with self._loading:
            if self._records is None:
                records = await self.guarded(self._run.journal.load())
                self._records = {record.identity: record for record in records}
            return self._records


def system_suspension(run: Run, error: Exception, step: str | None = None) -> Suspension:
    """Park for the house's own trouble, charging nothing."""
    failure = failure_from(error, step)
    if not isinstance(error, Fault):
        failure = replace(failure, error_class=ErrorClass.SYSTEM, code="internal")
    until = run.clock.now() + timedelta(seconds=SYSTEM_WAIT_S)
    return Suspension(Reason.SYSTEM, until, failure=failure)
