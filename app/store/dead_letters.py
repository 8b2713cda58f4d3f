"""Dead letters: failed jobs as their partial index finds them, counted by cause or picked for a replay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from app.domain.errors import Disposition, ErrorClass
from app.domain.operation import Cause, Which
from app.store.database import Connection, Database

SAMPLES = 5
_DEAD = "j.project_id = {} and j.status = 'failed' and j.disposition is not null and j.expires_at > clock_timestamp()"
_CAUSES = """
select j.disposition, j.workflow, j.version, j.error_step, j.error_class, j.error_code, count(*) as n,
    min(j.ended_at) as first_at, max(j.ended_at) as last_at, sum(count(*)) over () as total,
    (array_agg(j.id order by j.id desc))[1:{samples}] as samples
from jobs j where {where}
group by j.disposition, j.workflow, j.version, j.error_step, j.error_class, j.error_code
order by n desc, last_at desc, j.workflow, j.version, j.error_step, j.error_code limit {limit} offset {offset}
"""
_DETAILS = "select id, error_detail from jobs where id = any($1::uuid[])"
Condition = tuple[str, list[object]]


class DeadLetters:
    """The door for looking at them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def causes(self, project_id: UUID, which: Which, limit: int, offset: int = 0) -> tuple[list[Cause], int]:
        """The most frequent causes from `offset` on, and how many jobs all causes have."""
        where, values = condition(project_id, which)
        statement = _CAUSES.format(where=where, samples=SAMPLES, limit=int(limit), offset=int(offset))
        async with self._database.connection() as connection:
            found = await connection.fetch(statement, *values)
            rows = await connection.fetch(_DETAILS, [row["samples"][0] for row in found]) if found else []
        details = {row["id"]: row["error_detail"] or "" for row in rows}
        return [_cause(row, details) for row in found], int(found[0]["total"]) if found else 0


def condition(project_id: UUID, which: Which, ended_by: datetime | None = None) -> Condition:
    """The condition on jobs j, with its values: failed jobs that are kept, that are meant, that ended by then."""
    terms: list[tuple[str, object]] = [(_DEAD, project_id)]
    for column, value in (
        ("disposition", which.disposition),
        ("workflow", which.workflow),
        ("version", which.version),
        ("error_step", which.step),
        ("error_class", which.error_class),
        ("error_code", which.error_code),
    ):
        if value is not None:
            terms.append((f"j.{column} = {{}}", str(value)))
    for term, bound in (
        ("j.tags ? {}", which.tag),
        ("j.ended_at >= {}", which.since),
        ("j.ended_at < {}", which.until),
        ("j.ended_at <= {}", ended_by),
        ("j.id = any({}::uuid[])", which.job_ids),
        ("j.workflow = any({}::text[])", which.workflows),
    ):
        if bound is not None:
            terms.append((term, list(bound) if isinstance(bound, tuple) else bound))
    return " and ".join(term.format(f"${n}") for n, (term, _) in enumerate(terms, 1)), [value for _, value in terms]


async def portion(
    connection: Connection, where: Condition, after: UUID, limit: int, among: Sequence[UUID] | None = None
) -> list[asyncpg.Record]:
    """The next jobs of the condition by id: all, or those that are `among` these."""
    text, values = where
    more = [after, *([list(among)] if among is not None else [])]
    only = f" and j.id = any(${len(values) + 2}::uuid[])" if among is not None else ""
    statement = (
        f"select j.id, j.ordering_key from jobs j where {text} and j.id > ${len(values) + 1}{only}"
        f" order by j.id limit {int(limit)}"
    )
    return await connection.fetch(statement, *values, *more)


async def count(connection: Connection, where: Condition) -> int:
    """How many jobs the condition has."""
    text, values = where
    return int(await connection.fetchval(f"select count(*) from jobs j where {text}", *values))


def _cause(row: asyncpg.Record, details: dict[UUID, str]) -> Cause:
    return Cause(
        Disposition(row["disposition"]), row["workflow"], row["version"], row["error_step"],
        ErrorClass(row["error_class"]), row["error_code"], row["n"], row["first_at"], row["last_at"],
        details.get(row["samples"][0], ""), tuple(row["samples"]),
    )  # fmt: skip
