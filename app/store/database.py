"""The PostgreSQL pool: opens, hands out connections, and says when the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

# A server without disk, memory or connections to spare is as good as away; so is one that is read-only, a demoted one.
# InternalClientError is what asyncpg raises for a statement on a connection that broke at that moment.
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


# Who has prepared a statement and not executed it is active as well, and waits for his client.
_AT_WORK = """
select pid from pg_stat_activity
where pid = any($1::int[]) and state = 'active' and wait_event is distinct from 'ClientRead'
"""
_END = """
select pg_terminate_backend(pid) from pg_stat_activity
where pid = any($1::int[]) and xact_start is not null and wait_event = 'ClientRead'
    and state_change < clock_timestamp() - interval '1 second'
"""
# Who has held a connection for this long may be waiting for an answer that never comes.
_HANGING_S = 1.0


class StoreAway(Exception):
    """The database cannot be reached; what was in flight may or may not be stored."""


class Database:
    """A pool of connections. Every method raises StoreAway when the database is away."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], url: str) -> None:
        self._pool = pool
        self._url = url
        self._held: dict[Connection, float] = {}

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit: each statement is its own transaction."""
        try:
            async with self._pool.acquire(timeout=10) as connection:
                self._held[connection] = asyncio.get_running_loop().time()
                try:
                    yield connection
                finally:
                    del self._held[connection]
        except AWAY as error:
            raise StoreAway(f"{type(error).__name__}: {error}"[:300]) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside one transaction: commits at the end, rolls back on any error."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @property
    def in_use(self) -> int:
        """Connections of the pool that somebody holds."""
        return self._pool.get_size() - self._pool.get_idle_size()

    @property
    def idle(self) -> int:
        """Open ones that nobody holds."""
        return self._pool.get_idle_size()

    @property
    def most(self) -> int:
        """How many there may be."""
        return self._pool.get_max_size()

    async def own_connection(self) -> asyncpg.Connection[asyncpg.Record]:
        """A connection outside the pool, for the heartbeat, which must not wait for one."""
        try:
            return await asyncpg.connect(self._url, timeout=2, command_timeout=2)
        except AWAY as error:
            raise StoreAway(f"{type(error).__name__}: {error}"[:300]) from error

    async def drop_hanging(self, own: Connection) -> None:
        """Drop the connections on which somebody waits while, as `own` tells, the server does nothing for him.

        Whoever waits there gets StoreAway now, not after half a minute; idle ones are replaced at their next use. The
        server may not know yet that nobody speaks there any more: it ends them too, and with them their locks.
        """
        now = asyncio.get_running_loop().time()
        waiting = [held for held, since in self._held.items() if now - since > _HANGING_S]
        at_work = {row["pid"] for row in await own.fetch(_AT_WORK, [held.get_server_pid() for held in waiting])}
        dropped = {
            held: pid for held in waiting if (pid := held.get_server_pid()) not in at_work and held in self._held
        }
        for held in dropped:
            held.terminate()
        await own.fetch(_END, list(dropped.values()))
        await self._pool.expire_connections()

    async def ping(self) -> None:
        """One round trip."""
        async with self.connection() as connection:
            await connection.execute("select 1", timeout=2)

    async def close(self) -> None:
        """Close all connections, by force after 5 s."""
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


async def _as_it_is(_: Connection) -> None:
    """A connection goes back to the pool without a reset query."""


_SESSION = {
    "application_name": "laneway",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    # A process that freezes inside a transaction gives its locks back.
    "idle_in_transaction_session_timeout": "10s",
    # So does a host that is gone, which sends no farewell: by default the server would believe in it for two hours.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


async def open_database(url: str, size: int) -> Database:
    """A pool of at most `size` connections. Raises StoreAway."""
    try:
        pool = await asyncpg.create_pool(
            url,
            min_size=2,
            max_size=size,
            timeout=5,
            command_timeout=30,
            max_inactive_connection_lifetime=60,
            # Nothing here outlives its transaction, so a used connection needs no round trip to be clean.
            reset=_as_it_is,
            server_settings=_SESSION,
        )
    except AWAY as error:
        raise StoreAway(f"{type(error).__name__}: {error}"[:300]) from error
    return Database(pool, url)
