"""API keys and projects: stored as HMAC, looked up by digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from app.domain import ids
from app.domain.period import Period
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
    budget: Mapping[Period, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to store; `digest` is the HMAC of its text, `budget` nano-dollars by period."""

    project: str
    name: str
    prefix: str
    digest: bytes
    scopes: tuple[str, ...]
    mode: str
    workflows: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    budget: Mapping[Period, int] = field(default_factory=dict)


_PROJECT = """
insert into projects (id, name) values ($1, $2) on conflict (name) do update set name = excluded.name returning id
"""
_INSERT = """
insert into api_keys (
    id, project_id, name, prefix, digest, scopes, workflows, mode, expires_at, hour_nanos, day_nanos, month_nanos
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict (digest) do update set scopes = excluded.scopes
returning *
"""
_FIND = """
select * from api_keys where digest = $1 and revoked_at is null
    and (expires_at is null or expires_at > clock_timestamp())
"""
_OF_PROJECT = """
select * from api_keys where project_id = $1 and ($2::uuid is null or id = $2) order by id desc
"""
_ALLOW = """
update api_keys set hour_nanos = $3, day_nanos = $4, month_nanos = $5 where project_id = $1 and id = $2 returning *
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
            row = await connection.fetchrow(_INSERT, ids.uuid7(), project_id, *values, *map(key.budget.get, Period))
        if row is None:
            raise LookupError("the key was not stored")
        return _key(row)

    async def project_name(self, project_id: UUID) -> str | None:
        """The name of this project."""
        async with self._database.connection() as connection:
            found: str | None = await connection.fetchval("select name from projects where id = $1", project_id)
        return found

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

    async def of_project(self, project_id: UUID, key_id: UUID | None = None) -> list[ApiKey]:
        """The keys of a project, newest first; or the one with this id."""
        async with self._database.connection() as connection:
            return [_key(row) for row in await connection.fetch(_OF_PROJECT, project_id, key_id)]

    async def allow(self, project_id: UUID, key_id: UUID, budget: Mapping[Period, int]) -> ApiKey | None:
        """Give a key another budget, nano-dollars by period."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_ALLOW, project_id, key_id, *map(budget.get, Period))
        return _key(row) if row else None

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
        budget_of(row),
    )


def budget_of(row: asyncpg.Record) -> dict[Period, int]:
    """A key's budget: nano-dollars by the periods that are bounded."""
    given = {period: row[f"{period}_nanos"] for period in Period}
    return {period: nanos for period, nanos in given.items() if nanos is not None}
