"""Caps: which budgets bound a spender now, from the settings and from what keys were given."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from uuid import UUID

from app.domain.budget import Cap, Counter, Kind, Limits, Scope, Spender
from app.domain.clock import Clock
from app.domain.period import Period
from app.settings import BudgetSettings
from app.store.allowances import Allowances, Granted
from app.store.database import StoreAway
from app.telemetry.logs import log

# A budget that a key was given, or that was raised, counts everywhere after this long.
_FRESH_S = 1.0


class Caps:
    """Knows all budgets; what stands in the database is read again each second while somebody asks."""

    def __init__(self, budgets: Mapping[str, BudgetSettings], allowances: Allowances, clock: Clock) -> None:
        self._limits: dict[str, Limits] = {}
        self._allowances = allowances
        self._clock = clock
        self._granted = Granted({}, {})
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None
        self.configure(budgets)

    def configure(self, budgets: Mapping[str, BudgetSettings]) -> None:
        """Take other settings."""
        self._limits = {name: _limits(one) for name, one in budgets.items()}

    async def of(self, spender: Spender) -> tuple[Cap, ...]:
        """What bounds it in the periods of this moment, the shortest first; nothing where no budget is its."""
        await self._refresh()
        now = self._clock.now()
        found = [
            Cap(Counter(scope, period, period.start(now)), limits.nanos[period], limits.hold)
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

    async def _refresh(self) -> None:
        """The first look is waited for, the next ones happen beside the calls."""
        now = self._clock.monotonic()
        if self._read_at is not None and now - self._read_at < _FRESH_S:
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())
        if self._read_at is None:
            await asyncio.wait({self._reading})
            self._reading.result()

    async def _read(self) -> None:
        names = [name.removeprefix("project/") for name in self._limits if name.startswith("project/")]
        try:
            self._granted = await self._allowances.granted(names)
        except StoreAway as error:
            log("gateway").warning("budgets unread", error=str(error))
            if self._read_at is None:
                raise
        self._read_at = self._clock.monotonic()


def _bound(spender: Spender, kind: Kind, what: str, limits: Limits | None) -> Iterator[tuple[Scope, Limits]]:
    if limits is not None:
        yield Scope(spender.project_id, kind, what, spender.test_mode), limits


def _limits(given: BudgetSettings) -> Limits:
    return Limits(given.nanos, given.at_limit == "hold")
