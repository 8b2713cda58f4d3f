"""Pauses of lanes and workflows: flags that a claim reads, so that no job is rewritten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.store.database import Database


class PauseKind(StrEnum):
    """What can be paused."""

    LANE = "lane"
    WORKFLOW = "workflow"


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that stands: nothing of that lane or workflow is started; what runs goes on."""

    kind: PauseKind
    name: str
    at: datetime


_PAUSE = "insert into pauses (kind, name) values ($1, $2) on conflict do nothing returning name"
_RESUME = "delete from pauses where kind = $1 and name = $2 returning name"
_STANDING = "select kind, name, at from pauses order by kind, name"


class Pauses:
    """The door of operators to claims. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pause(self, kind: PauseKind, name: str) -> bool:
        """Start nothing of it from the next claim on. False when it was paused already."""
        async with self._database.connection() as connection:
            return await connection.fetchval(_PAUSE, str(kind), name) is not None

    async def resume(self, kind: PauseKind, name: str) -> bool:
        """Start it again; the caller rings its lanes. False when it was not paused."""
        async with self._database.connection() as connection:
            return await connection.fetchval(_RESUME, str(kind), name) is not None

    async def standing(self) -> list[Pause]:
        """All pauses."""
        async with self._database.connection() as connection:
            return [Pause(PauseKind(row["kind"]), row["name"], row["at"]) for row in await connection.fetch(_STANDING)]
