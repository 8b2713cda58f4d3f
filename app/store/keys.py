"""API keys: stored as HMAC, looked up by digest; a rotated one belongs to the line of its first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from app.domain import ids, money
from app.domain.period import Period
from app.store.audits import Act, note
from app.store.database import Connection, Database
from app.store.submissions import IdempotencyKey, Outcome, bind

DEFAULT_PROJECT = "default"
# SQL: whether keys of project $1 administrate project p. Those of the default project are the operators'.
REACHED = f"""(
    p.id = $1 or p.parent_id = $1 or exists (select from projects o where o.id = $1 and o.name = '{DEFAULT_PROJECT}')
)"""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, for the audit, and under which idempotency key."""

    project_id: UUID
    key_id: UUID
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key; the key itself is nowhere. `first_id`: the first of its line, by which jobs, usage and budgets go.

    `budget` is nano-dollars by period.
    """

    id: UUID
    first_id: UUID
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
class Secret:
    """Of a key's text its beginning and its HMAC."""

    prefix: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to store; `budget` in nano-dollars by period."""

    project: str
    name: str
    secret: Secret
    scopes: Sequence[str]
    mode: str
    workflows: Sequence[str] | None = None
    expires_at: datetime | None = None
    budget: Mapping[Period, int] = field(default_factory=dict)


class Unrotated(Exception):
    """A key that has ended, or that is not the newest of its line, is not rotated."""


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
_PAGE = """
select * from api_keys where project_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3
"""
_REACH = f"select k.* from api_keys k join projects p on p.id = k.project_id where k.id = $2 and {REACHED}"
_LINE = "(select coalesce(first_id, id) from api_keys where id = $1)"
# One after the other: whoever waited sees in a second look what was made meanwhile.
_LOCK = f"select from api_keys where id = {_LINE} for update"
_OF_LINE = f"""
select *, revoked_at is null and (expires_at is null or expires_at > clock_timestamp()) as valid
from api_keys where coalesce(first_id, id) = {_LINE} order by id desc
"""
_NEXT = """
insert into api_keys (
    id, first_id, project_id, name, prefix, digest, scopes, workflows, mode, expires_at,
    hour_nanos, day_nanos, month_nanos
)
select $2, coalesce(first_id, id), project_id, name, $3, $4, scopes, workflows, mode, expires_at,
    hour_nanos, day_nanos, month_nanos
from api_keys where id = $1 returning *
"""
_GRACE = """
update api_keys set expires_at = least(expires_at, clock_timestamp() + make_interval(secs => $2)) where id = $1
"""
_ALLOW = f"""
update api_keys set hour_nanos = $2, day_nanos = $3, month_nanos = $4 where coalesce(first_id, id) = {_LINE}
returning *
"""
_REVOKE = """
update api_keys set revoked_at = clock_timestamp() where id = $1 and revoked_at is null returning project_id
"""


class Keys:
    """The door for keys. Acts are noted in the audit of the asker's project and of the key's; no asker: our own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, key: NewKey, by: Asker | None = None) -> ApiKey | tuple[Outcome, UUID]:
        """Store a key, and its project where that is new; the same digest again is the same key.

        What the idempotency key stands for where it came before.
        """
        new = ids.uuid7()
        async with self._database.transaction() as connection:
            if by and (earlier := await bind(connection, by.project_id, by.idempotency, new)):
                return earlier.outcome, earlier.job_id
            project_id = await connection.fetchval(_PROJECT, ids.uuid7(), key.project)
            scopes, workflows = list(key.scopes), list(key.workflows) if key.workflows is not None else None
            secret = (key.secret.prefix, key.secret.digest)
            values = (key.name, *secret, scopes, workflows, key.mode, key.expires_at)
            (row,) = await connection.fetch(_INSERT, new, project_id, *values, *map(key.budget.get, Period))
            if row["id"] == new:
                await _note(connection, by, project_id, "keys.created", _shown(new))
        return _key(row)

    async def rotate(self, key_id: UUID, secret: Secret, grace_s: float, by: Asker) -> ApiKey | tuple[Outcome, UUID]:
        """The next of its line, the same but for its text; the old one ends after the grace.

        What the idempotency key stands for where it came before. Raises Unrotated, and then binds none.
        """
        new = ids.uuid7()
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, key_id)
            line = await connection.fetch(_OF_LINE, key_id)
            if earlier := await bind(connection, by.project_id, by.idempotency, new):
                return earlier.outcome, earlier.job_id
            old = next(row for row in line if row["id"] == key_id)
            if not old["valid"]:
                raise Unrotated("The key has expired or was revoked: make a new one.")
            if old is not line[0]:
                raise Unrotated(f"The key was rotated before: rotate {_shown(line[0]['id'])}, the newest of its line.")
            (row,) = await connection.fetch(_NEXT, key_id, new, secret.prefix, secret.digest)
            await connection.execute(_GRACE, key_id, grace_s)
            await _note(connection, by, row["project_id"], "keys.rotated", _shown(key_id), _shown(new))
        return _key(row)

    async def allow(self, key_id: UUID, budget: Mapping[Period, int], by: Asker) -> ApiKey:
        """Give a key, and its line, another budget: nano-dollars by period."""
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_ALLOW, key_id, *map(budget.get, Period))
            row = next(row for row in rows if row["id"] == key_id)
            told = [f"{period}_usd={money.show(nanos)}" for period, nanos in budget.items()]
            await _note(connection, by, row["project_id"], "keys.budget_changed", _shown(key_id), *told)
        return _key(row)

    async def revoke(self, key_id: UUID, by: Asker | None = None) -> bool:
        """End a key; False when there is none that is valid."""
        async with self._database.transaction() as connection:
            project_id = await connection.fetchval(_REVOKE, key_id)
            if project_id is not None:
                await _note(connection, by, project_id, "keys.revoked", _shown(key_id))
        return project_id is not None

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

    async def page(self, project_id: UUID, limit: int, after: UUID | None) -> list[ApiKey]:
        """Up to `limit` keys of a project, newest first, behind `after`."""
        async with self._database.connection() as connection:
            return [_key(row) for row in await connection.fetch(_PAGE, project_id, after, limit)]

    async def reached(self, by_project: UUID, key_id: UUID) -> ApiKey | None:
        """The key of this id, where keys of `by_project` administrate its project."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_REACH, by_project, key_id)
        return _key(row) if row else None


async def _note(connection: Connection, by: Asker | None, project_id: UUID, action: str, *tags: str) -> None:
    for told in {project_id, by.project_id if by else project_id}:
        await note(connection, Act(told, by.key_id if by else None, action, None, 0, tags=tags))


def _shown(key_id: UUID) -> str:
    return ids.show("key", key_id)


def _key(row: asyncpg.Record) -> ApiKey:
    return ApiKey(
        row["id"],
        row["first_id"] or row["id"],
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
