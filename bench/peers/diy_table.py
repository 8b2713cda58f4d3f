"""What the do-it-yourself API and worker share: the table, the pool, the queue."""

from __future__ import annotations

import asyncpg
from arq import ArqRedis, create_pool
from arq.connections import RedisSettings

from bench.peers.given import DATABASE_URL, REDIS_URL, TUNED

_CONNECTIONS = 16 if TUNED else 10
REDIS = RedisSettings.from_dsn(REDIS_URL)
TABLE = """
create table if not exists jobs (
    id          uuid primary key,
    kind        text not null,
    status      text not null,
    input       jsonb not null,
    result      jsonb,
    created_at  timestamptz not null default now(),
    ended_at    timestamptz
)
"""


async def connect() -> asyncpg.Pool:
    """A pool of connections; the table exists."""
    pool = await asyncpg.create_pool(DATABASE_URL, min_size=_CONNECTIONS, max_size=_CONNECTIONS)
    await pool.execute(TABLE)
    return pool


async def open_queue() -> ArqRedis:
    """arq's queue."""
    return await create_pool(REDIS)
