"""Budgets of keys count as they stand: for a key just made at once, for one that was changed within a second."""

from __future__ import annotations

import asyncio
from uuid import UUID

from app.domain import ids
from app.domain.budget import Spender
from app.domain.clock import SystemClock
from app.gateway.budgets.caps import Caps
from app.store.allowances import Allowances
from app.store.database import Database

_KEY = """
insert into api_keys (id, project_id, name, prefix, digest, scopes, mode, day_nanos)
values ($1, $2, 'k', 'lw_live', $3, '{}', 'live', $4)
"""


class Ahead(SystemClock):
    """A clock that a test can put forward."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


async def _key(database: Database, project_id: UUID, nanos: int) -> Spender:
    key_id = ids.uuid7()
    async with database.connection() as connection:
        await connection.execute(_KEY, key_id, project_id, ids.secret_bytes(32), nanos)
    return Spender(project_id, "noop", key_id, test_mode=False)


async def _nanos(caps: Caps, spender: Spender) -> list[int]:
    return [cap.nanos for cap in await caps.of(spender)]


async def test_a_key_that_was_just_made_is_bound_from_its_first_call(database: Database, project: UUID) -> None:
    caps = Caps({}, Allowances(database), SystemClock())
    for nanos in range(1, 20):
        made = await _key(database, project, nanos)
        found = await asyncio.gather(*(_nanos(caps, made) for _ in range(64)))
        assert found == [[nanos]] * 64


async def test_after_a_pause_nobody_goes_by_what_was_read_before_it(database: Database, project: UUID) -> None:
    clock = Ahead()
    caps = Caps({}, Allowances(database), clock)
    spender = await _key(database, project, 2000)
    assert await _nanos(caps, spender) == [2000]
    async with database.connection() as connection:
        await connection.execute("update api_keys set day_nanos = 7 where id = $1", spender.key_id)
    clock.ahead_s = 60
    assert await asyncio.gather(*(_nanos(caps, spender) for _ in range(64))) == [[7]] * 64


async def test_a_revoked_key_keeps_its_budget(database: Database, project: UUID) -> None:
    """Its jobs go on."""
    spender = await _key(database, project, 2000)
    async with database.connection() as connection:
        await connection.execute("update api_keys set revoked_at = now() where id = $1", spender.key_id)
    assert await _nanos(Caps({}, Allowances(database), SystemClock()), spender) == [2000]
