"""Who was cut off himself declares nobody dead, and a connection that hangs is dropped at the next heartbeat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import asyncpg
import pytest

from app.domain import ids
from app.store.database import Database, StoreAway, open_database
from app.store.workers import Workers
from tests.faults.proxy import Proxy
from tests.supervise.embedded import RunningServer

LEASE_S = 1.0


@pytest.fixture
def proxy(postgres: RunningServer) -> Iterator[Proxy]:
    folder = Path(parse_qs(urlsplit(postgres.url).query)["host"][0])
    made = Proxy(str(folder / ".s.PGSQL.5432"))
    yield made
    made.end()


async def registered(database: Database) -> Workers:
    """A process that has beaten once."""
    made = Workers(database, ids.uuid7())
    await made.register("work", "here", 1, ["bulk"], LEASE_S)
    await made.beat()
    return made


async def alive(postgres: RunningServer, worker_id: UUID) -> bool:
    connection = await asyncpg.connect(postgres.url)
    try:
        return await connection.fetchval("select gone_at is null from workers where id = $1", worker_id) is True
    finally:
        await connection.close()


async def test_who_missed_his_lease_is_given_up(postgres: RunningServer, database: Database) -> None:
    late = await registered(database)
    await asyncio.sleep(LEASE_S * 1.1)
    judge = await registered(database)
    await judge.give_up_late()
    assert not await alive(postgres, late.id) and await alive(postgres, judge.id)
    await late.close()
    await judge.close()


async def test_a_look_that_was_held_up_gives_nobody_up(postgres: RunningServer, database: Database) -> None:
    """Everybody was held up by the same lock: when it goes, beats are old, and the look runs first."""
    other, judge = await registered(database), await registered(database)
    holder = await asyncpg.connect(postgres.url)
    await holder.execute("begin; lock table workers in access exclusive mode")
    looking = asyncio.create_task(judge.give_up_late())
    await asyncio.sleep(LEASE_S * 1.2)
    await holder.execute("rollback")
    await looking
    assert await alive(postgres, other.id)
    for one in (other, judge, holder):
        await one.close()


async def test_without_a_beat_of_his_own_he_gives_nobody_up(postgres: RunningServer, database: Database) -> None:
    late = await registered(database)
    await asyncio.sleep(LEASE_S * 1.1)
    await Workers(database, ids.uuid7()).give_up_late()
    assert await alive(postgres, late.id)
    await late.close()


async def test_a_beat_over_a_new_connection_drops_those_that_hang(proxy: Proxy) -> None:
    """Half open: nothing comes back on the old connections, whoever waits there would wait half a minute."""
    database = await open_database(f"postgresql://laneway@127.0.0.1:{proxy.port}/postgres", 4)
    worker = await registered(database)
    proxy.forget()
    began = time.monotonic()
    waiting = asyncio.create_task(_slow(database))
    with pytest.raises(StoreAway):
        await worker.beat()
    await worker.beat()
    with pytest.raises(StoreAway):
        await waiting
    assert time.monotonic() - began < 4
    await database.ping()
    await worker.close()
    await database.close()


async def test_a_beat_over_a_new_connection_leaves_alone_who_is_served(database: Database) -> None:
    worker = await registered(database)
    working = asyncio.create_task(_slow(database))
    await asyncio.sleep(1.2)
    await worker.close()
    await worker.beat()
    assert await working == 7
    await worker.close()


async def _slow(database: Database) -> int:
    async with database.connection() as connection:
        return int(await connection.fetchval("select 7 from pg_sleep(2)"))
