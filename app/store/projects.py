"""Projects: made by keys of others, which then administrate them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from app.domain import ids
from app.store.audits import Act, note
from app.store.database import Database
from app.store.keys import REACHED, Asker
from app.store.submissions import Outcome, bind

_MAKE = """
insert into projects (id, name, parent_id) values ($1, $2, $3) on conflict (name) do nothing returning *
"""
_FIND = f"select * from projects p where p.id = $2 and {REACHED}"
_PAGE = f"""
select * from projects p where {REACHED} and ($2::uuid is null or p.id < $2) order by p.id desc limit $3
"""


@dataclass(frozen=True, slots=True)
class Project:
    """To which jobs, keys and all else belong."""

    id: UUID
    name: str
    created_at: datetime


class NameTaken(Exception):
    """There is a project of this name."""


class Projects:
    """The door for projects. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def make(self, name: str, by: Asker) -> Project | tuple[Outcome, UUID]:
        """A new one, administrated by the asker's; or what the idempotency key stands for.

        Raises NameTaken, and then binds no key.
        """
        new = ids.uuid7()
        async with self._database.transaction() as connection:
            if earlier := await bind(connection, by.project_id, by.idempotency, new):
                return earlier.outcome, earlier.job_id
            row = await connection.fetchrow(_MAKE, new, name, by.project_id)
            if row is None:
                raise NameTaken
            await note(connection, Act(by.project_id, by.key_id, "projects.created", None, 0, tags=[_shown(new)]))
        return _project(row)

    async def find(self, by_project: UUID, project_id: UUID) -> Project | None:
        """The project, where keys of `by_project` administrate it."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_FIND, by_project, project_id)
        return _project(row) if row else None

    async def page(self, by_project: UUID, limit: int, after: UUID | None) -> list[Project]:
        """Up to `limit` of those that keys of `by_project` administrate, newest first, behind `after`."""
        async with self._database.connection() as connection:
            return [_project(row) for row in await connection.fetch(_PAGE, by_project, after, limit)]


def _shown(project_id: UUID) -> str:
    return ids.show("prj", project_id)


def _project(row: asyncpg.Record) -> Project:
    return Project(row["id"], row["name"], row["created_at"])
