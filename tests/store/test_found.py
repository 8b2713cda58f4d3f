"""Calls that were booked as lost and came after all, among the many of which no more was ever heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.domain import ids
from app.store.database import Database
from app.store.ledger import _AGAIN, Ledger
from tests.store.parts import PROJECT
from tests.store.plans import rows_read

_ROWS = """
insert into ledger (call_id, of_call, at, project_id, workflow, version, job_id, step, attempt, provider, model,
    outcome, input_tokens, output_tokens, cached_tokens, cost_nanos, price_known)
select call_id, of_call, now(), $1, 'noop', '1', gen_random_uuid(), 'ask', 1, 'main', 'mini-1',
    case when of_call is null then 'late' else 'lost' end, 0, 0, 0, 5, true
from unnest($2::uuid[], $3::uuid[]) as g (call_id, of_call)
"""


def _called(ago: timedelta, place: int) -> UUID:
    """The id of a call of that time."""
    began = datetime.now(UTC) - ago
    return ids.derived_uuid7(ids.uuid7_floor(int(began.timestamp() * 1000)), place)


async def _lose(database: Database, calls: list[UUID], came: int) -> None:
    """All are lost, and of some their own rows come."""
    lost = [ids.derived_uuid7(call, 1) for call in calls]
    async with database.connection() as connection:
        await connection.execute(_ROWS, PROJECT, lost, calls)
        await connection.execute(_ROWS, PROJECT, calls[:came], [None] * came)


async def test_old_ones_are_not_looked_at_each_time(database: Database) -> None:
    long_ago = [_called(timedelta(days=3), place) for place in range(3000)]
    just_now = [_called(timedelta(minutes=10), place) for place in range(20)]
    await _lose(database, long_ago, 10)
    await _lose(database, just_now, 4)
    since = datetime.now(UTC) - timedelta(hours=1)
    async with database.connection() as connection:
        await connection.execute("analyze ledger")
        read = await rows_read(connection, _AGAIN, ids.uuid7_floor(int(since.timestamp() * 1000)))
    assert 20 <= read["ledger"] <= 3 * 20, read
    ledger = Ledger(database)
    assert {one.id for one in await ledger.find_again(since)} == set(just_now[:4])
    assert await ledger.find_again(since) == []
    assert {one.id for one in await ledger.find_again(since - timedelta(days=3))} == set(long_ago[:10])
