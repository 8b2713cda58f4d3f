"""Looks at the database through the invariants: read-only, all in one snapshot, each for a bounded time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK
from app.store.database import AWAY, StoreAway
from app.store.invariants.check import Check

# Of what is broken, so many are named.
_NAMED = 5
# Ids are drawn by several machines' clocks.
_SKEW_MS = 3_600_000
_SESSION = {
    "application_name": "laneway verify",
    "default_transaction_read_only": "on",
    "jit": "off",
    "work_mem": "64MB",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is looked at: jobs submitted since `since`, all where it is None, at most `timeout_s` for each check.

    A living system may take `grace_s` to put right what a death left behind.
    """

    since: datetime | None = None
    timeout_s: float = 10.0
    grace_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: how many breaches, and the first of them by name; `cut_off`: its time was over before."""

    check: Check
    count: int
    first: tuple[str, ...]
    cut_off: bool
    took_s: float

    @property
    def holds(self) -> bool:
        """Whether the invariant was looked at to the end, and holds."""
        return not self.count and not self.cut_off


class Inspection:
    """A connection to look through."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection

    async def findings(self, checks: Sequence[Check], scope: Scope) -> AsyncIterator[Finding]:
        """What each check finds, all of one moment. Raises StoreAway."""
        try:
            async with self._connection.transaction(isolation="repeatable_read", readonly=True):
                await self._connection.execute(f"set local statement_timeout = {round(scope.timeout_s * 1000)}")
                for check in checks:
                    yield await self._look(check, scope)
        except AWAY as error:
            raise StoreAway(f"{type(error).__name__}: {error}"[:300]) from error

    async def _look(self, check: Check, scope: Scope) -> Finding:
        began = SYSTEM_CLOCK.monotonic()
        count, cut_off = 0, False
        first: tuple[str, ...] = ()
        try:
            # A savepoint: what was cut off must not end the snapshot.
            async with self._connection.transaction():
                row = await self._connection.fetchrow(_statement(check), *_floors(scope.since), scope.grace_s)
            if row is not None:
                count, first = row["count"], tuple(_named(check, one) for one in row["first"] or ())
        except asyncpg.QueryCanceledError:
            cut_off = True
        return Finding(check, count, first, cut_off, SYSTEM_CLOCK.monotonic() - began)


@asynccontextmanager
async def open_inspection(url: str) -> AsyncIterator[Inspection]:
    """An inspection on a connection of its own. Raises StoreAway."""
    try:
        connection = await asyncpg.connect(url, timeout=5, server_settings=_SESSION)
    except AWAY as error:
        raise StoreAway(f"{type(error).__name__}: {error}"[:300]) from error
    try:
        yield Inspection(connection)
    finally:
        await connection.close(timeout=5)


def _statement(check: Check) -> str:
    """Count and first of what the check's statement gives; with every parameter, whether that names it or not."""
    return f"""
        with asked as (select $1::uuid, $2::uuid, $3::float8), bad (id) as materialized ({check.sql})
        select count(*) as count, array(select id::text from bad limit {_NAMED}) as first from bad
    """


def _floors(since: datetime | None) -> tuple[UUID, UUID]:
    """The smallest id of a job, and of anything that belongs to one."""
    if since is None:
        return UUID(int=0), UUID(int=0)
    since_ms = round(since.timestamp() * 1000)
    return ids.uuid7_floor(since_ms), ids.uuid7_floor(since_ms - _SKEW_MS)


def _named(check: Check, subject: str) -> str:
    return ids.show(check.kind, UUID(subject)) if check.kind else subject
