"""Operations on many jobs: begun with their idempotency key, worked off portion by portion, each in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from app.domain import ids
from app.domain.operation import Operation, OperationKind, OperationStatus, Replay
from app.store import dead_letters, families
from app.store.announce import Moved, RenderBody
from app.store.audits import REPLAY, Act, note
from app.store.controls import queue_again
from app.store.database import Connection, Database
from app.store.submissions import IdempotencyKey, Outcome, bind, lock_lines

FULL = "queue_full"
_BEGIN = """
insert into operations (id, project_id, key_id, kind, wanted, total) values ($1, $2, $3, $4, $5, $6) returning *
"""
_FIND = "select * from operations where id = $1 and project_id = $2"
_RUNNING = "select id from operations where status = 'running' order by id"
# One process at a time works on an operation.
_TAKE = "select * from operations where id = $1 and status = 'running' for no key update skip locked"
_DONE = """
update operations
set cursor = $2, done = done + $3, total = greatest(total, done + $3), portions = portions + $4, reason = null,
    status = case when $5 then 'completed' else status end, ended_at = case when $5 then clock_timestamp() end
where id = $1
"""
_HELD = "update operations set reason = $2 where id = $1 and reason is distinct from $2"
# Portions of several operations see each other's jobs in the queue, one after the other; any number no other lock has.
_IN_TURN = "select pg_advisory_xact_lock(7203611905)"
_UNSTARTED = """
select count(*) filter (where project_id = $1) as mine, count(*) as whole
from jobs where status in ('queued', 'scheduled', 'waiting')
"""
_UNKNOWN = """
select id from unnest($2::uuid[]) as given (id)
where not exists (select from jobs j where j.id = given.id and j.project_id = $1) limit 1
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many jobs one portion has at most, and how much unstarted work a replay may fill the queue up to."""

    portion: int
    unstarted: int
    unstarted_per_project: int


@dataclass(frozen=True, slots=True)
class Portion:
    """What one portion did; `ended`: the operation has no other; `held`: the queue has no room now."""

    moved: Sequence[Moved] = ()
    ended: bool = False
    held: bool = False


class Operations:
    """The door for operations."""

    def __init__(self, database: Database, render: RenderBody, bounds: Bounds) -> None:
        self._database = database
        self._render = render
        self._bounds = bounds

    async def begin(
        self, project_id: UUID, key_id: UUID, replay: Replay, idempotency: IdempotencyKey | None
    ) -> Operation | tuple[Outcome, UUID]:
        """A new replay of the dead letters that there are now; an Outcome, and whose, when the key came before."""
        async with self._database.transaction() as connection:
            new, wanted = ids.uuid7(), REPLAY.dump_json(replay)
            if owner := await bind(connection, project_id, idempotency, new):
                return owner.outcome, owner.job_id
            named = replay.which.job_ids or ()
            total = len(named) or await dead_letters.count(connection, dead_letters.condition(project_id, replay.which))
            (row,) = await connection.fetch(
                _BEGIN, new, project_id, key_id, str(OperationKind.REPLAY), wanted, total
            )  # fmt: skip
            await note(connection, Act(project_id, key_id, str(OperationKind.REPLAY), new, total, named))
        return _operation(row)

    async def unknown(self, project_id: UUID, job_ids: Sequence[UUID]) -> UUID | None:
        """One of these ids that is no job of the project; None when all are."""
        async with self._database.connection() as connection:
            found: UUID | None = await connection.fetchval(_UNKNOWN, project_id, list(job_ids))
        return found

    async def find(self, project_id: UUID, operation_id: UUID) -> Operation | None:
        """One operation; None when the project has none of that id."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_FIND, operation_id, project_id)
        return _operation(row) if row else None

    async def running(self) -> list[UUID]:
        """Those that have not ended, the oldest first."""
        async with self._database.connection() as connection:
            return [row["id"] for row in await connection.fetch(_RUNNING)]

    async def work(self, operation_id: UUID) -> Portion | None:
        """Do its next portion; None when it has ended, or another process works on it. Raises StoreAway."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_TAKE, operation_id)
            return await self._portion(connection, _operation(row), row["cursor"]) if row else None

    async def _portion(self, connection: Connection, operation: Operation, cursor: UUID) -> Portion:
        limit = min(self._bounds.portion, await self._room(connection, operation.project_id))
        if limit <= 0:
            await connection.execute(_HELD, operation.id, FULL)
            return Portion(held=True)
        # Who failed after the operation began has been replayed by it, or was not meant.
        where = dead_letters.condition(operation.project_id, operation.replay.which, operation.created_at)
        looked = [row["id"] for row in await dead_letters.portion(connection, where, cursor, limit)]
        moved = await self._replay(connection, operation, where, cursor, looked) if looked else []
        ended = len(looked) < limit
        await connection.execute(
            _DONE, operation.id, looked[-1] if looked else cursor, len(moved), bool(looked), ended
        )  # fmt: skip
        return Portion(moved, ended)

    async def _replay(
        self, connection: Connection, operation: Operation, where: dead_letters.Condition, cursor: UUID,
        looked: Sequence[UUID],
    ) -> Sequence[Moved]:  # fmt: skip
        """Queue again those of them that are dead letters still, now that nobody else can move them."""
        await families.lock(connection, looked, await families.parents_of(connection, looked))
        still = await dead_letters.portion(connection, where, cursor, len(looked), looked)
        if not still:
            return []
        keyed = [(operation.project_id, row["ordering_key"]) for row in still if row["ordering_key"] is not None]
        await lock_lines(connection, keyed)
        own, replay = [row["id"] for row in still], operation.replay
        moved = await queue_again(
            connection, own, self._render, version=replay.version, from_start=replay.from_start
        )  # fmt: skip
        await note(
            connection, Act(operation.project_id, operation.key_id, "jobs.replayed", operation.id, len(own), own)
        )  # fmt: skip
        return moved

    async def _room(self, connection: Connection, project_id: UUID) -> int:
        """How many jobs may be queued now; nobody else replays until this transaction ends."""
        await connection.execute(_IN_TURN)
        (row,) = await connection.fetch(_UNSTARTED, project_id)
        mine, whole = int(row["mine"]), int(row["whole"])
        return min(self._bounds.unstarted - whole, self._bounds.unstarted_per_project - mine)


def _operation(row: asyncpg.Record) -> Operation:
    return Operation(
        row["id"], row["project_id"], row["key_id"], OperationKind(row["kind"]), REPLAY.validate_json(row["wanted"]),
        row["total"], row["done"], row["portions"], OperationStatus(row["status"]), row["reason"], row["created_at"],
        row["ended_at"],
    )  # fmt: skip
