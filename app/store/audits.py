"""The audit: who did what to how many jobs and to which, written in the transaction of the act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic import TypeAdapter

from app.domain import ids
from app.domain.operation import AuditEntry, Replay
from app.store.database import Connection, Database

# How table operations keeps what was asked for.
REPLAY: TypeAdapter[Replay] = TypeAdapter(Replay)
_NOTE = """
insert into audit (id, project_id, key_id, action, operation_id, count, job_ids, tags)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_PAGE = """
select a.id, a.at, a.key_id, a.action, a.operation_id, a.count, case when $5 then a.job_ids else '{}' end as job_ids,
    a.tags, o.wanted
from audit a left join operations o on o.id = a.operation_id
where a.project_id = $1 and ($2::uuid is null or a.id < $2) and ($3::uuid is null or a.operation_id = $3)
order by a.id desc limit $4
"""


@dataclass(frozen=True, slots=True)
class Act:
    """What is noted."""

    project_id: UUID
    key_id: UUID | None
    action: str
    operation_id: UUID | None
    count: int
    job_ids: Sequence[UUID] = ()
    tags: Sequence[str] = ()


class Audits:
    """The door for reading it, and for what is no act of the database's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, project_id: UUID, limit: int, *, after: UUID | None, operation_id: UUID | None, jobs: bool
    ) -> list[AuditEntry]:
        """Up to `limit` entries, newest first, behind `after`; with the ids of the jobs where `jobs` asks for them."""
        async with self._database.connection() as connection:
            found = await connection.fetch(_PAGE, project_id, after, operation_id, limit, jobs)
        return [
            AuditEntry(
                row["id"], row["at"], row["key_id"], row["action"], row["operation_id"], row["count"],
                tuple(row["job_ids"]), REPLAY.validate_json(row["wanted"]) if row["wanted"] else None,
                tuple(row["tags"]),
            )
            for row in found
        ]  # fmt: skip

    async def write(self, act: Act) -> None:
        """Note what was done elsewhere."""
        async with self._database.connection() as connection:
            await note(connection, act)


async def note(connection: Connection, act: Act) -> None:
    """Write it, in the caller's transaction."""
    await connection.execute(
        _NOTE, ids.uuid7(), act.project_id, act.key_id, act.action, act.operation_id, act.count, list(act.job_ids),
        list(act.tags),
    )  # fmt: skip
