"""What a project's feed tells of a budget: each level once in a period, and again when the budget was raised."""

from __future__ import annotations

from uuid import UUID

from app.domain.budget import Cap, Counter, Kind, Scope
from app.domain.clock import SYSTEM_CLOCK
from app.domain.period import Period
from app.gateway.budgets.marks import Marks
from app.store.allowances import Allowances
from app.store.database import Database

_TOLD = "select type, data from events where project_id = $1 order by at"


async def _told(database: Database, project: UUID) -> list[str]:
    async with database.connection() as connection:
        return [row["type"].removeprefix("budget.") for row in await connection.fetch(_TOLD, project)]


async def test_each_level_is_told_once_for_each_cap(database: Database, project: UUID) -> None:
    counter = Counter(
        Scope(project, Kind.PROJECT, "", test_mode=False), Period.DAY, Period.DAY.start(SYSTEM_CLOCK.now())
    )
    seen: list[str] = []
    for cap_nanos, spent, told in (
        (100, 79, []),
        (100, 80, ["threshold_reached"]),
        (100, 99, []),
        (100, 100, ["exhausted"]),
        (100, 150, []),
        (200, 150, []),
        (200, 160, ["threshold_reached"]),
        (200, 230, ["exhausted"]),
    ):
        # Another process each time: only the database knows what was told.
        marks = Marks(Allowances(database))
        marks.note(Cap(counter, cap_nanos, hold=False), spent)
        await marks.close()
        seen += told
        assert await _told(database, project) == seen, (cap_nanos, spent)
