"""Memory of processes, read from /proc, and of what PostgreSQL and Valkey hold."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import redis

_MB = 1024 * 1024
# A partition counts as its table; what is empty is not told.
_TABLES = """
select coalesce(pg_partition_root(oid), oid)::regclass::text as name, sum(pg_total_relation_size(oid)) as bytes
from pg_class
where relkind = 'r' and relnamespace = 'public'::regnamespace and pg_relation_size(oid) > 0
group by 1 order by 2 desc
"""


def pss_mb(pid: int) -> float:
    """Proportional memory: pages shared by n processes count as an n-th of each. PostgreSQL with its children."""
    return _mb(pid, "Pss")


def rss_mb(pid: int) -> float:
    """Resident memory, shared pages counted in full for each process."""
    return _mb(pid, "Rss")


async def tables_mb(database_url: str) -> dict[str, float]:
    """Each table with its indexes, the largest first."""
    connection = await asyncpg.connect(database_url)
    try:
        return {row["name"]: int(row["bytes"]) / _MB for row in await connection.fetch(_TABLES)}
    finally:
        await connection.close()


def valkey_mb(redis_url: str) -> float:
    """What its data takes."""
    with redis.Redis.from_url(redis_url) as connection:
        return int(connection.info("memory")["used_memory"]) / _MB


def _mb(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    own = next(line for line in lines if line.startswith(f"{field}:"))
    return int(own.split()[1]) / 1024 + sum(_mb(child, field) for child in _backends(pid))


def _backends(pid: int) -> list[int]:
    """PostgreSQL has a process for each connection."""
    if "postgres" not in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]:
        return []
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
