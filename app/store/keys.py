"""API keys and projects: stored as HMAC, looked up by digest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from app.domain import ids
from app.store.database import Database

DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key; the key itself is nowhere."""

    id: UUID
    project_id: UUID
    name: str
    prefix: str
    scopes: frozenset[str]
    workflows: frozenset[str] | None
    mode: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to store; `digest` is the HMAC of its text."""

    project: str
    name: str
    prefix: str
    digest: bytes
    scopes: tuple[str, ...]
    mode: str
    workflows: tuple[str, ...] | None = None
    expires_at: datetime | None = None


_PROJECT = """
insert into projects (id, name) values ($1, $2) on conflict (name) do update set name = excluded.name returning id
"""
_INSERT = """
insert into api_keys (id, project_id, name, prefix, digest, scopes, workflows, mode, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (digest) do update set scopes = excluded.scopes
returning *
"""
_FIND = """
select * from api_keys where digest = $1 and revoked_at is null
    and (expires_at is null or expires_at > clock_timestamp())
"""
_REVOKE = "update api_keys set revoked_at = clock_timestamp() where id = $1 and revoked_at is null returning id"


class Keys:
    """The door for keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, key: NewKey) -> ApiKey:
        """Store a key, and its project where that is new; the same digest again is the same key."""
        async with self._database.transaction() as connection:
            project_id = await connection.fetchval(_PROJECT, ids.uuid7(), key.project)
            scopes, workflows = list(key.scopes), list(key.workflows) if key.workflows is not None else None
            values = (key.name, key.prefix, key.digest, scopes, workflows, key.mode, key.expires_at)
            row = await connection.fetchrow(_INSERT, ids.uuid7(), project_id, *values)
        if row is None:
            raise LookupError("the key was not stored")
        return _key(row)

    async def project(self, name: str) -> UUID | None:
        """The project of this name."""
        async with self._database.connection() as connection:
            found: UUID | None = await connection.fetchval("select id from projects where name = $1", name)
        return found

    async def find(self, digest: bytes) -> ApiKey | None:
        """The valid key with this digest."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_FIND, digest)
        return _key(row) if row else None

    async def all(self) -> list[ApiKey]:
        """Every key, newest first."""
        async with self._database.connection() as connection:
            return [_key(row) for row in await connection.fetch("select * from api_keys order by id desc")]

    async def revoke(self, key_id: UUID) -> bool:
        """End a key; False when there is none that is valid."""
        async with self._database.connection() as connection:
            return await connection.fetchval(_REVOKE, key_id) is not None


def _key(row: asyncpg.Record) -> ApiKey:
    return ApiKey(
        row["id"],
        row["project_id"],
        row["name"],
        row["prefix"],
        frozenset(row["scopes"]),
        frozenset(row["workflows"]) if row["workflows"] is not None else None,
        row["mode"],
        row["created_at"],
        row["expires_at"],
        row["revoked_at"],
    )
