"""Answers by idempotency key, of requests whose effect is elsewhere: in Redis, or in a job that is there already."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.store.database import Database
from app.store.submissions import IdempotencyKey

_CLAIM = """
insert into idempotency (project_id, scope, key, fingerprint) values ($1, $2, $3, $4)
on conflict (project_id, scope, key) do update
    set fingerprint = excluded.fingerprint, answer = null, created_at = clock_timestamp()
    where idempotency.created_at < clock_timestamp() - interval '24 hours'
"""
_FIND = "select fingerprint, answer from idempotency where project_id = $1 and scope = $2 and key = $3"
_KEEP = """
update idempotency set answer = $5
where project_id = $1 and scope = $2 and key = $3 and fingerprint = $4 and answer is null
"""
_FORGET = """
delete from idempotency where project_id = $1 and scope = $2 and key = $3 and fingerprint = $4 and answer is null
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a key: whether it came with another request, and the answer if there was one."""

    reused: bool
    answer: bytes | None


class Answers:
    """The door. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, project_id: UUID, key: IdempotencyKey) -> Kept:
        """Bind a new key to this request, before it is done; what is known of one that came before."""
        async with self._database.connection() as connection:
            await connection.execute(_CLAIM, project_id, key.scope, key.key, key.fingerprint)
            row = await connection.fetchrow(_FIND, project_id, key.scope, key.key)
        return Kept(row is not None and row["fingerprint"] != key.fingerprint, row["answer"] if row else None)

    async def keep(self, project_id: UUID, key: IdempotencyKey, answer: bytes) -> None:
        """The request was done and this is its answer; the first one stays."""
        async with self._database.connection() as connection:
            await connection.execute(_KEEP, project_id, key.scope, key.key, key.fingerprint, answer)

    async def forget(self, project_id: UUID, key: IdempotencyKey) -> None:
        """The request was refused: its key is free again, unless the same request was answered meanwhile."""
        async with self._database.connection() as connection:
            await connection.execute(_FORGET, project_id, key.scope, key.key, key.fingerprint)
