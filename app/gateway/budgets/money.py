"""All that a process has for money: the till, budgets, books and the ledger behind them."""

from __future__ import annotations

from redis.asyncio import Redis

from app.domain.clock import Clock
from app.gateway.budgets.away import LocalBudgets
from app.gateway.budgets.books import Books
from app.gateway.budgets.budget import Budgets
from app.gateway.budgets.caps import Caps
from app.gateway.budgets.marks import Marks
from app.gateway.budgets.till import Till
from app.settings import Settings
from app.store.allowances import Allowances
from app.store.database import Database
from app.store.ledger import Ledger


class Money:
    """Built once for a process; `renew` takes other settings."""

    def __init__(self, redis: Redis, database: Database, settings: Settings, clock: Clock) -> None:
        self.ledger = Ledger(database)
        self.allowances = Allowances(database)
        self._till = Till(redis, clock)
        self._caps = Caps(settings.budgets, self.allowances, clock)
        self._marks = Marks(self.allowances)
        self.budgets = Budgets(
            self._till, self._caps, self.ledger, LocalBudgets(self.ledger, clock), clock,
            settings.gateway.max_slot_wait_s, self._marks.note,
        )  # fmt: skip
        self.books = Books(self._till, self.ledger, clock)

    def renew(self, settings: Settings) -> None:
        """Budgets as they stand now."""
        self._caps.configure(settings.budgets)
        self.budgets.max_wait_s = settings.gateway.max_slot_wait_s

    async def close(self) -> None:
        """Let what is on its way arrive; bounded."""
        await self._till.close()
        await self._marks.close()
