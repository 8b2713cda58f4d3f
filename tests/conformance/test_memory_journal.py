"""The journal in memory, which authors' tests run on."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.engine.journal import Journal, MemoryJournal
from tests.conformance.journal_suite import JournalJob, JournalSuite


class _MemoryJob:
    def __init__(self) -> None:
        self._journal = MemoryJournal()
        self.job_id: UUID = self._journal.job_id

    def journal(self) -> Journal:
        return self._journal

    async def take_over(self) -> Journal:
        self._journal = self._journal.take_over()
        return self._journal

    async def paid(self) -> set[UUID]:
        return {call.id for call in self._journal.calls}


class TestMemoryJournal(JournalSuite):
    """The suite, on memory."""

    @pytest.fixture
    async def job(self) -> JournalJob:
        return _MemoryJob()
