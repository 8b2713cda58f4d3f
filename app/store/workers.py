"""Processes and their heartbeats, by the database's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from app.store.database import AWAY, Database, StoreAway


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat brought back: running jobs of this process that were told to cancel; False: it was given up."""

    alive: bool
    canceled: tuple[UUID, ...]


_REGISTER = """
insert into workers (id, role, host, pid, lanes, lease_s) values ($1, $2, $3, $4, $5, $6)
on conflict (id) do update set beat_at = clock_timestamp(), gone_at = null
"""
_BEAT = "update workers set beat_at = clock_timestamp() where id = $1 and gone_at is null returning beat_at"
_CANCELED = "select id from jobs where worker_id = $1 and status = 'running' and cancel_requested"
# It may have waited for a lock, or been held by the network: who looks must be fresh when it runs, not when he asked.
_LATE = """
update workers set gone_at = clock_timestamp()
where gone_at is null and beat_at < clock_timestamp() - make_interval(secs => lease_s) and id <> $1
    and $2 > clock_timestamp() - make_interval(secs => lease_s * 2 / 3)
returning id
"""
_GONE = "update workers set gone_at = coalesce(gone_at, clock_timestamp()) where id = $1"
_FORGET = """
delete from workers w where gone_at < clock_timestamp() - interval '1 day'
    and not exists (select 1 from jobs j where j.status = 'running' and j.worker_id = w.id)
"""
_ORPHANED = """
select distinct j.worker_id from jobs j left join workers w on w.id = j.worker_id
where j.status = 'running' and (w.id is null or w.gone_at is not null)
"""


class Workers:
    """The door for heartbeats. Each process beats on a connection of its own, so a busy pool cannot stop it."""

    def __init__(self, database: Database, process_id: UUID) -> None:
        self._database = database
        self.id = process_id
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._beat_at: datetime | None = None

    async def register(self, role: str, host: str, pid: int, lanes: Sequence[str], lease_s: float) -> None:
        """Make this process known. Raises StoreAway."""
        async with self._database.connection() as connection:
            await connection.execute(_REGISTER, self.id, role, host, pid, list(lanes), lease_s)

    async def beat(self) -> Beat:
        """Renew the lease. Raises StoreAway.

        Where that took a new connection, others may hang as the one before did: those are dropped.
        """
        try:
            connection, new = await self._own()
            beat_at = await connection.fetchval(_BEAT, self.id)
            canceled = await connection.fetch(_CANCELED, self.id)
            if new and self._beat_at is not None:
                await self._database.drop_hanging(connection)
        except AWAY as error:
            await self._drop()
            raise StoreAway(str(error)[:300]) from error
        self._beat_at = beat_at or self._beat_at
        return Beat(beat_at is not None, tuple(row["id"] for row in canceled))

    async def give_up_late(self) -> None:
        """Declare dead whoever missed his lease, by the proof of this process's own last beat."""
        async with self._database.connection() as connection:
            await connection.execute(_LATE, self.id, self._beat_at)

    async def orphaned(self) -> list[UUID]:
        """Dead processes that still own jobs."""
        async with self._database.connection() as connection:
            return [row["worker_id"] for row in await connection.fetch(_ORPHANED)]

    async def release(self, process_id: UUID) -> None:
        """Declare one process gone: it left, or its parent saw it die."""
        async with self._database.connection() as connection:
            await connection.execute(_GONE, process_id)

    async def forget_old(self) -> None:
        """Delete processes that are gone for a day."""
        async with self._database.connection() as connection:
            await connection.execute(_FORGET)

    async def close(self) -> None:
        """Close the heartbeat's connection."""
        await self._drop()

    async def _own(self) -> tuple[asyncpg.Connection[asyncpg.Record], bool]:
        """The heartbeat's connection, and whether it is a new one."""
        if self._connection is not None and not self._connection.is_closed():
            return self._connection, False
        self._connection = await self._database.own_connection()
        return self._connection, True

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
