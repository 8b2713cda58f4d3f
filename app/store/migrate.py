"""Brings the schema up to date: Alembic's migrations under a lock, then the partitions of the coming weeks.

What was restored from another cluster is settled here too: whoever restores a dump runs it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.store.database import AWAY, StoreAway, open_database
from app.store.partitions import ensure_partitions
from app.store.rebase import rebase

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
# Any number that no other program locks: one migration at a time on one database.
_LOCK = 0x1A2E3A7
_NEWEST = "head"


async def migrate(url: str, revision: str = _NEWEST) -> None:
    """Upgrade the database at `url` (postgresql://...). Raises StoreAway."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade, revision)
            await connection.commit()
    except AWAY as error:
        raise StoreAway(f"{type(error).__name__}: {error}"[:300]) from error
    finally:
        await engine.dispose()
    database = await open_database(url, 2)
    await ensure_partitions(database)
    await database.close()


def _upgrade(connection: Connection, revision: str) -> None:
    connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
    connection.commit()
    try:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
        if revision == _NEWEST:
            rebase(connection)
    finally:
        connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})
        connection.commit()


def migrate_now(url: str) -> None:
    """The same for a caller without an event loop."""
    asyncio.run(migrate(url))
