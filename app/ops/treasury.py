"""The treasury of every process: each second one of all keeps the books, and lets jobs go on that a budget held."""

from __future__ import annotations

from collections.abc import Callable

from app.bell.ring import Ring
from app.domain import money
from app.domain.alert import AlertEvent, AlertKind, Condition
from app.domain.clock import Clock
from app.gateway.budgets.books import LATEST, Books, Drift
from app.gateway.budgets.budget import Budgets
from app.gateway.redis.reach import RedisAway
from app.ops.alerts import raise_alert
from app.store.alerts import Alerts
from app.store.allowances import Allowances
from app.store.database import StoreAway
from app.store.ledger import Ledger
from app.telemetry.logs import log

_INTERVAL_S = 1.0
# Of one project, workflow and key so many jobs are let go at once: more, once those have not spent it all.
_PORTION = 200


class Treasury:
    """Adds the ledger up, books lost calls, compares counters with it, and wakes whoever waits for money."""

    def __init__(
        self, ledger: Ledger, allowances: Allowances, books: Books, budgets: Budgets, alerts: Alerts, ring: Ring,
        clock: Clock, compare_s: Callable[[], float],
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._allowances = allowances
        self._books = books
        self._budgets = budgets
        self._alerts = alerts
        self._ring = ring
        self._clock = clock
        self._compare_s = compare_s

    async def run(self) -> None:
        """Keep the books until canceled."""
        while True:
            try:
                if await self._ledger.take_turn(_INTERVAL_S):
                    await self.once()
            except (StoreAway, RedisAway) as error:
                log("treasury").warning("books wait", error=type(error).__name__)
            await self._clock.sleep(_INTERVAL_S)

    async def once(self) -> None:
        """All of it. Raises StoreAway, RedisAway."""
        await self._ledger.roll()
        await self._wake()
        await self._books.sweep()
        await self._books.find_again()
        if await self._ledger.take_compare(self._compare_s()):
            await self._books.find_again(LATEST)
            for drift in await self._books.compare():
                await self._tell(drift)

    async def _wake(self) -> None:
        """A period has turned, or a budget was raised: the next call of each finds out how far that goes."""
        for spender in await self._allowances.held():
            if await self._budgets.spent_cap(spender) is None:
                for lane in await self._allowances.wake(spender, _PORTION):
                    self._ring.ring(lane)

    async def _tell(self, drift: Drift) -> None:
        """It is mended already: an alert that fires now, and resolves by itself."""
        wrong = f"{money.show(abs(drift.nanos))} dollars {'too much' if drift.nanos > 0 else 'too little'}"
        detail = f"a counter of a budget said {wrong} and was corrected from the ledger: {drift.counter.name}"
        condition = Condition(AlertKind.BUDGET_DRIFT, drift.counter.name, detail)
        raise_alert(AlertEvent.FIRED, condition.kind, condition.key, condition.detail)
        await self._alerts.note_outage(condition, 0.0, 0.0)
