"""Families: what a child's end means for its parent, a parent's for its children, in the transaction of the move.

Whoever moves a child locks it and its parent, all rows in one order of ids, before anything else: so no two deadlock,
and a parent that is about to park sees every end before its own, or is seen parked by it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from uuid import UUID

from app.domain.job import Status
from app.store.announce import Moved
from app.store.database import Connection

# The ends of a parent that nobody will read its children's outcomes after: they are canceled with it.
TAKES_CHILDREN = (Status.FAILED, Status.CANCELED, Status.EXPIRED)

_PARENTS = "select distinct parent_id from jobs where id = any($1::uuid[]) and parent_id is not null"
_LOCK = "select id from jobs where id = any($1::uuid[]) order by id for no key update"
_COUNTED = """
with counted as (
    select spawn_id, count(*) as n from jobs where id = any($1::uuid[]) and spawn_id is not null group by spawn_id
)
"""
_LESS = f"""
{_COUNTED} update spawns s set open = s.open - c.n from counted c where s.id = c.spawn_id returning s.parent_id, s.open
"""
_DUE = """
update jobs set due_at = least(due_at, clock_timestamp())
where id = any($1::uuid[]) and status = 'waiting' and reason = 'children' returning lane
"""
_CANCEL = """
update spawns set canceling = true, swept = 0 where parent_id = any($1::uuid[]) and not retired and open > 0
"""
_MORE = f"{_COUNTED} update spawns s set open = s.open + c.n from counted c where s.id = c.spawn_id"
_RETIRE = """
update spawns set retired = true, canceling = open > 0, swept = 0 where parent_id = any($1::uuid[]) and not retired
"""
_REVIVE = """
update spawns set canceling = false, reviving = reviving or awaited
where parent_id = any($1::uuid[]) and not retired
"""


async def parents_of(connection: Connection, job_ids: Collection[UUID]) -> set[UUID]:
    """The parents of these jobs."""
    return {row["parent_id"] for row in await connection.fetch(_PARENTS, list(job_ids))}


async def lock(connection: Connection, job_ids: Collection[UUID], parents: Collection[UUID]) -> None:
    """Lock the jobs and their parents, before either moves."""
    await connection.execute(_LOCK, sorted({*job_ids, *parents}))


async def lock_children(connection: Connection, job_ids: Collection[UUID]) -> None:
    """Lock those of the jobs that are children, with their parents."""
    if job_ids and (parents := await parents_of(connection, job_ids)):
        await lock(connection, job_ids, parents)


async def moved(connection: Connection, moves: Sequence[Moved]) -> list[Moved]:
    """Tell families of what ended: parents without open children become due, children of lost parents will follow.

    The lanes that have work by that are noted on the first move.
    """
    ended = [move for move in moves if move.status.terminal]
    less = await connection.fetch(_LESS, [move.id for move in ended]) if ended else []
    lost = [move.id for move in ended if move.status in TAKES_CHILDREN]
    if lost:
        await connection.execute(_CANCEL, lost)
    alone = [row["parent_id"] for row in less if row["open"] == 0]
    due = await connection.fetch(_DUE, alone) if alone else []
    if not due:
        return list(moves)
    return [replace(moves[0], rings=tuple(row["lane"] for row in due)), *moves[1:]]


async def retried(connection: Connection, job_ids: Sequence[UUID], *, from_start: bool) -> None:
    """They run again: their parents, if they still wait, wait for them too; their own children are kept, or forgotten.

    Children that it was still waiting for, and that were canceled with it, will start again when it comes to them.
    """
    await connection.execute(_MORE, job_ids)
    if from_start:
        await connection.execute(_RETIRE, job_ids)
    else:
        await connection.execute(_REVIVE, job_ids)
