"""What room a client has: its place in the queue and its budgets, and what is left of each."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.budget import Cap, Spender
from app.engine.catalogue import Catalogue
from app.gateway.budgets.budget import Budgets
from app.jobs.backlog import Backlog
from app.store.keys import ApiKey


@dataclass(frozen=True, slots=True)
class Left:
    """Jobs of the client's project that have not started; its budgets, with what is on the books of each."""

    unstarted: int
    budgets: list[tuple[Cap, int]]


class Room:
    """Looks at what the doors of a submit look at."""

    def __init__(self, backlog: Backlog, budgets: Budgets, catalogue: Catalogue) -> None:
        self._backlog = backlog
        self._budgets = budgets
        self._catalogue = catalogue

    async def of(self, key: ApiKey) -> Left:
        """The budgets of its project, of itself, and of each workflow that it may call. Raises StoreAway."""
        names = [name for name in self._catalogue.names() if key.workflows is None or name in key.workflows]
        spenders = [Spender(key.project_id, name, key.first_id, key.mode == "test") for name in names]
        return Left(self._backlog.unstarted(key.project_id), await self._budgets.bounding(spenders))
