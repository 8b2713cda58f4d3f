"""The journal: where the records of a job's steps live, and one that keeps them in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol
from uuid import UUID

from app.domain import ids
from app.domain.call import Call, CallOutcome
from app.domain.step import StepRecord, StepWrite


class OwnershipLost(BaseException):
    """The fence refused a write: another worker owns the job; drop it silently. No `except Exception` stops it."""


class Journal(Protocol):
    """The records of one job, as its present owner sees them. The conformance suite says what each must do."""

    async def load(self) -> list[StepRecord]:
        """All records of this job, in any order; asked once, before the first step of a resumed job."""
        ...

    async def write(self, write: StepWrite) -> None:
        """Make the record and its calls durable, replacing an earlier record of the same identity.

        Repeating a write changes nothing. Raises OwnershipLost, having kept the calls all the same: they were paid for.
        """
        ...


@dataclass(slots=True)
class _Shelf:
    """What outlives an owner."""

    job_id: UUID
    records: dict[tuple[str, str], StepRecord]
    calls: dict[UUID, Call] = field(default_factory=dict)
    epoch: int = 0


class MemoryJournal:
    """Records in memory. `take_over` gives the next owner's journal over the same records, as after a crash."""

    def __init__(self, job_id: UUID | None = None, records: Iterable[StepRecord] = ()) -> None:
        self._shelf = _Shelf(job_id or ids.uuid7(), {record.identity: record for record in records})
        self._epoch = 0

    @property
    def job_id(self) -> UUID:
        """The job whose records these are."""
        return self._shelf.job_id

    @property
    def records(self) -> list[StepRecord]:
        """The records as they stand."""
        return list(self._shelf.records.values())

    @property
    def calls(self) -> list[Call]:
        """Every call that was written, late ones included."""
        return list(self._shelf.calls.values())

    def take_over(self) -> MemoryJournal:
        """A journal for the next owner; this one has lost the job."""
        heir = MemoryJournal()
        heir._shelf = self._shelf
        heir._shelf.epoch += 1
        heir._epoch = heir._shelf.epoch
        return heir

    async def load(self) -> list[StepRecord]:
        """All records, oldest first."""
        return self.records

    async def write(self, write: StepWrite) -> None:
        """Keep the record and its calls. Raises OwnershipLost once another owner has taken over."""
        owned = self._epoch == self._shelf.epoch
        for call in write.calls:
            self._shelf.calls.setdefault(call.id, call if owned else replace(call, outcome=CallOutcome.LATE))
        if not owned:
            raise OwnershipLost
        self._shelf.records[write.record.identity] = write.record
