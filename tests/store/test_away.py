"""Which errors of the database mean that it is away: what was in flight is repeated, not blamed on a job."""

from __future__ import annotations

import asyncpg
import pytest

from app.store.database import Database, StoreAway


async def _meet(database: Database, code: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(f"do $$ begin raise exception using errcode = '{code}'; end $$")


@pytest.mark.parametrize("code", ["53100", "53200", "53300", "58030", "57P01", "57P03", "25006"])
async def test_no_disk_memory_or_connection_is_as_good_as_away(database: Database, code: str) -> None:
    with pytest.raises(StoreAway):
        await _meet(database, code)


@pytest.mark.parametrize("code", ["23505", "22P02", "40001", "42P01"])
async def test_what_is_wrong_with_a_statement_is_told_as_it_is(database: Database, code: str) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await _meet(database, code)
