"""Jobs that wait for a budget: whose they are, and which go on, is told without a look at each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product
from uuid import UUID

import pytest

from app.domain import ids
from app.domain.budget import Spender
from app.store.allowances import _HELD, _WAKE, Allowances
from app.store.database import Database
from tests.store.parts import PROJECT
from tests.store.plans import rows_read

_MANY, _WOKEN = 2000, 30
# Every third of `$7` jobs is due already: somebody let it go on.
_INSERT = """
insert into jobs (
    id, project_id, workflow, key_id, test_mode, version, lane, priority, status, reason, due_at, created_at,
    expires_at, retain_s, input_id, trace_id, span_id, tags, metadata
)
select gen_random_uuid(), $1, $2, $3, $4, '1', 'bulk', n % 10, 'waiting', 'budget',
    now() + case when n <= $6 then '-1 minute' else '1 hour' end::interval, now(), now() + interval '1 day', 86400,
    gen_random_uuid(), 't', 's', '[]', '{}'
from generate_series(1, $5) n
"""
_KEYS = (None, ids.uuid7(), ids.uuid7())
_HOLDERS = [Spender(PROJECT, *which) for which in product("abc", _KEYS, (False, True))]


@pytest.fixture(scope="module")
async def allowances(database: Database) -> AsyncIterator[Allowances]:
    """Each of 18 has many that wait; one more has only such as were let go."""
    async with database.connection() as connection:
        for one in _HOLDERS:
            await connection.execute(_INSERT, *_columns(one), _MANY, _WOKEN)
        await connection.execute(_INSERT, *_columns(Spender(ids.uuid7(), "a", None, False)), _WOKEN, _WOKEN)
        await connection.execute("analyze jobs")
    yield Allowances(database)


def _columns(one: Spender) -> tuple[UUID, str, UUID | None, bool]:
    return one.project_id, one.workflow, one.key_id, one.test_mode


async def test_a_look_whose_jobs_wait_reads_one_of_each(allowances: Allowances, database: Database) -> None:
    async with database.connection() as connection:
        read = await rows_read(connection, _HELD)
    assert read == {"jobs": len(_HOLDERS) + 1}
    assert sorted(await allowances.held(), key=str) == sorted(_HOLDERS, key=str)


async def test_who_lets_some_go_on_reads_no_others_jobs(allowances: Allowances, database: Database) -> None:
    one = _HOLDERS[3]
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        read = await rows_read(connection, _WAKE, *_columns(one), 10)
        await transaction.rollback()
    assert read["jobs"] <= _MANY - _WOKEN + 100, read
    assert len(await allowances.wake(one, 10)) == 10
