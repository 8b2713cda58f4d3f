"""Where contenders run: one PostgreSQL and one Valkey for all, emptied before each visit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import redis

from tests.supervise.embedded import Embedded, embedded, open_folder


@dataclass(frozen=True, slots=True)
class Place:
    """An empty database and Valkey, a folder for logs, the servers' process ids, a provider where asked for."""

    folder: Path
    database_url: str
    redis_url: str
    servers: Mapping[str, int]
    provider_url: str = ""


class Ground:
    """The servers of one run."""

    def __init__(self, servers: Embedded, folder: Path) -> None:
        self.folder = folder
        self._servers, self._visits = servers, 0
        self._server_url, self._redis_url = servers
        self.database_url = urlsplit(self._server_url)._replace(path="/bench").geturl()

    def place(self, provider_url: str = "") -> Place:
        """For the next visit: whatever the last one left is gone, and on disk."""
        self._visits += 1
        folder = self.folder / f"visit-{self._visits}"
        folder.mkdir(mode=0o755)
        asyncio.run(self._empty())
        with redis.Redis.from_url(self._redis_url) as connection:
            connection.flushall()
        pids = {"postgres": self._servers.postgres.pid, "valkey": self._servers.valkey.pid}
        return Place(folder, self.database_url, self._redis_url, pids, provider_url)

    async def _empty(self) -> None:
        connection = await asyncpg.connect(self._server_url)
        for statement in ("drop database if exists bench with (force)", "create database bench", "checkpoint"):
            await connection.execute(statement)
        await connection.close()


@contextmanager
def ground() -> Iterator[Ground]:
    """PostgreSQL and Valkey as `laneway up` embeds them: fsync and synchronous_commit on. Main thread only."""
    with open_folder() as folder, embedded(fsync=True) as servers:
        yield Ground(servers, folder)
