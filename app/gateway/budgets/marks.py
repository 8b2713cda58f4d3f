"""What is told of a budget: once in a period that 80 % of it are spent, and once that all of it is."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any

from app.domain import ids, money
from app.domain.budget import Cap
from app.domain.event import EventType
from app.store.allowances import Allowances
from app.store.database import StoreAway
from app.telemetry.logs import log

LEVELS = ((80, EventType.BUDGET_THRESHOLD_REACHED), (100, EventType.BUDGET_EXHAUSTED))
_MOST_KNOWN = 10_000
_log = log("gateway")


class Marks:
    """Hears what is spent of each cap, and writes an event into the project's feed where that is news.

    Which process tells is decided in the database, so that each level is told once whoever comes to it first.
    """

    def __init__(self, allowances: Allowances) -> None:
        self._allowances = allowances
        self._told: set[tuple[str, int]] = set()
        self._telling: set[asyncio.Task[None]] = set()

    def note(self, cap: Cap, spent_nanos: int) -> None:
        """So much of the cap is spent."""
        for level, type in LEVELS:
            mark = (cap.name, level)
            if spent_nanos * 100 < cap.nanos * level or mark in self._told:
                continue
            if len(self._told) > _MOST_KNOWN:
                self._told.clear()
            self._told.add(mark)
            # It concerns all who spend: no log line of it may carry the ids of the one that came first.
            telling = self._tell(cap, spent_nanos, level, type)
            task = asyncio.get_running_loop().create_task(telling, context=Context())
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def close(self) -> None:
        """Let what is being told be written."""
        if self._telling:
            await asyncio.wait(self._telling, timeout=2)

    async def _tell(self, cap: Cap, spent_nanos: int, level: int, type: EventType) -> None:
        try:
            if await self._allowances.mark(cap, level, type, budget_view(cap, spent_nanos)):
                _log.warning(str(type), what=cap.shown, reason=f"{money.show(spent_nanos)} of {money.show(cap.nanos)}")
        except StoreAway:
            # The next call that is booked brings it up again.
            self._told.discard((cap.name, level))


def budget_view(cap: Cap, spent_nanos: int) -> dict[str, Any]:
    """A budget in one period, as events and `GET /v1/limits` tell it."""
    counter = cap.counter
    return {
        "object": "budget",
        "scope": counter.scope.kind,
        "workflow": counter.scope.workflow,
        "key_id": ids.show("key", counter.scope.key_id) if counter.scope.key_id else None,
        "period": counter.period,
        "starts_at": counter.start.isoformat().replace("+00:00", "Z"),
        "ends_at": counter.end.isoformat().replace("+00:00", "Z"),
        "limit_usd": money.show(cap.nanos),
        "spent_usd": money.show(spent_nanos),
        "test": counter.scope.test_mode,
    }
