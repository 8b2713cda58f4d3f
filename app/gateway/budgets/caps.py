"""Caps: which budgets bound a spender now, from the settings and from what keys were given."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping
from contextvars import Context
from datetime import datetime
from uuid import UUID

from app.domain import ids
from app.domain.budget import Cap, Counter, Kind, Limits, Scope, Spender
from app.domain.clock import Clock
from app.domain.period import Period
from app.settings import BudgetSettings
from app.store.allowances import Allowances, Granted
from app.store.database import StoreAway
from app.telemetry.logs import log

# What was read longer ago is read again beside the calls; what is older than the second figure is gone by no more.
_FRESH_S, _STALE_S = 1.0, 2.0
# Whose key was made so shortly ago waits for a look of its own; it covers what clocks differ by.
_YOUNG_S = 5.0


class Caps:
    """Knows all budgets; what stands in the database is read again each second while somebody asks."""

    def __init__(self, budgets: Mapping[str, BudgetSettings], allowances: Allowances, clock: Clock) -> None:
        self._limits: dict[str, Limits] = {}
        self._allowances = allowances
        self._clock = clock
        self._granted = Granted({}, {})
        # When the last look that has ended began, and the one under way (monotonic seconds).
        self._read_at = self._begun_at = -math.inf
        self._reading: asyncio.Task[None] | None = None
        self.configure(budgets)

    def configure(self, budgets: Mapping[str, BudgetSettings]) -> None:
        """Take other settings."""
        self._limits = {name: _limits(one) for name, one in budgets.items()}

    async def of(self, spender: Spender, at: datetime | None = None) -> tuple[Cap, ...]:
        """What bounds it in the periods of that moment, or of this one; the shortest first, nothing for most."""
        await self._refresh(spender)
        if not self._limits and not self._granted.keys:
            return ()
        moment = at or self._clock.now()
        found = [
            Cap(Counter(scope, period, period.start(moment)), limits.nanos[period], limits.hold)
            for scope, limits in self._bounds(spender)
            for period in Period
            if period in limits.nanos
        ]
        return tuple(sorted(found, key=lambda cap: cap.counter.end))

    def _bounds(self, spender: Spender) -> Iterator[tuple[Scope, Limits]]:
        project = next((name for name, own in self._granted.projects.items() if own == spender.project_id), None)
        given = self._limits
        yield from _bound(spender, Kind.PROJECT, "", given.get(f"project/{project}") or given.get("project"))
        own = given.get(f"workflow/{spender.workflow}") or given.get("workflow")
        yield from _bound(spender, Kind.WORKFLOW, spender.workflow, own)
        if spender.key_id is not None:
            yield from _bound(spender, Kind.KEY, spender.key_id.hex, self._of_key(spender.key_id))

    def _of_key(self, key_id: UUID) -> Limits | None:
        """Its own budget, held or refused as the settings say for keys; else the one that all keys have."""
        default, own = self._limits.get("key"), self._granted.keys.get(key_id)
        if own is None:
            return default
        return Limits(own.nanos, default.hold if default else False)

    async def _refresh(self, spender: Spender) -> None:
        """Looks again when it is time; waits for that where what is known may not be true any more.

        Raises StoreAway when nothing was ever read.
        """
        now = self._clock.monotonic()
        young = spender.key_id is not None and self._clock.now().timestamp() - ids.unix_s(spender.key_id) < _YOUNG_S
        while self._read_at < (now if young else now - _FRESH_S):
            reading = self._look()
            if not young and self._read_at >= now - _STALE_S:
                return
            await asyncio.wait({reading})
            reading.result()

    def _look(self) -> asyncio.Task[None]:
        """The look that is under way, or a new one."""
        if self._reading is None or self._reading.done():
            self._begun_at = self._clock.monotonic()
            self._reading = asyncio.get_running_loop().create_task(self._read(), context=Context())
        return self._reading

    async def _read(self) -> None:
        names = [name.removeprefix("project/") for name in self._limits if name.startswith("project/")]
        try:
            self._granted = await self._allowances.granted(names)
        except StoreAway as error:
            log("gateway").warning("budgets unread", error=str(error))
            if self._read_at == -math.inf:
                raise
        self._read_at = self._begun_at


def _bound(spender: Spender, kind: Kind, what: str, limits: Limits | None) -> Iterator[tuple[Scope, Limits]]:
    if limits is not None:
        yield Scope(spender.project_id, kind, what, spender.test_mode), limits


def _limits(given: BudgetSettings) -> Limits:
    return Limits(given.nanos, given.at_limit == "hold")
