"""Connections that carry nothing any more while both ends believe in them: nobody waits there, and no lock is kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from app.store.database import StoreAway, open_database
from tests.faults.proxy import Proxy
from tests.supervise.embedded import RunningServer

_LOCK = "select pg_advisory_xact_lock(4711)"
_STATE = "select state from pg_stat_activity where pid = $1 and wait_event = 'ClientRead'"


@pytest.mark.parametrize(("prepared", "state"), [(False, "idle in transaction"), (True, "active")])
async def test_who_waits_on_a_dead_connection_hears_it_and_its_locks_are_free(
    postgres: RunningServer, prepared: bool, state: str
) -> None:
    """Also between the preparation of a statement and its execution, where the server takes it for active."""
    proxy = Proxy(str(Path(parse_qs(urlsplit(postgres.url).query)["host"][0]) / ".s.PGSQL.5432"))
    database = await open_database(f"postgresql://laneway@127.0.0.1:{proxy.port}/postgres", 2)
    own = await asyncpg.connect(postgres.url, command_timeout=2)

    async def hang() -> None:
        async with database.connection() as connection:
            await connection.execute(f"begin; {_LOCK}")
            if prepared:
                await connection.prepare("select 1")
            proxy.forget()
            assert await own.fetchval(_STATE, connection.get_server_pid()) == state
            await connection.execute("select 1")

    hanging = asyncio.create_task(hang())
    await asyncio.sleep(1.5)
    await database.drop_hanging(own)
    with pytest.raises(StoreAway):
        await hanging
    async with asyncio.timeout(5):
        await own.execute(f"begin; {_LOCK}; commit")
    await own.close()
    await database.close()
    proxy.end()
