"""What every contender offers to be measured by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import asyncpg

from bench.load import get
from bench.place import Place
from bench.process import Process

_POLL_S = 0.02


class Ledger(Protocol):
    """Counts a contender's jobs where it keeps them."""

    async def settled(self) -> None:
        """Return once every job has ended."""
        ...

    async def finished(self) -> int:
        """Jobs that have ended well, with their result where the contender keeps results."""
        ...


@dataclass(frozen=True, slots=True)
class SqlLedger:
    """Asks the database; `live` and `done` are conditions on `table`."""

    database_url: str
    table: str
    live: str
    done: str

    async def settled(self) -> None:
        async with self._connection() as connection:
            while await connection.fetchval(f"select exists (select from {self.table} where {self.live})"):
                await pause()

    async def finished(self) -> int:
        async with self._connection() as connection:
            return int(await connection.fetchval(f"select count(*) from {self.table} where {self.done}"))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()


@dataclass(frozen=True, slots=True)
class Running:
    """A running contender: where it listens, its processes by name, its ledger.

    `request(kind, wait)` submits a job of that kind: noop, call or checks, and with `wait` holds the answer until its
    end. `work(name)` starts one more worker.
    """

    host: str
    port: int
    parts: Mapping[str, int]
    ledger: Ledger
    request: Callable[[str, bool], bytes]
    work: Callable[[str], AbstractContextManager[Process]]
    key: str = ""

    def read(self, job_id: str, *headers: str) -> bytes:
        """The request that reads a job."""
        return get(f"{'/v1' if self.key else ''}/jobs/{job_id}", self.key, *headers)


@dataclass(frozen=True, slots=True)
class Who:
    """A line of a table: who, and what of his survives a crash, and where."""

    name: str
    keeps: str


@dataclass(frozen=True, slots=True)
class Contender(Who):
    """One that can be started with so many workers; `share` is how much of the work a slow one gets."""

    start: Callable[[Place, int], AbstractContextManager[Running]]
    share: float = 1.0


async def pause() -> None:
    """Between two looks of a ledger."""
    await asyncio.sleep(_POLL_S)


async def all_ended(running: Running, jobs: int, before: int = 0) -> None:
    """Wait for the end of every job. Raises RuntimeError unless so many more than `before` have ended well."""
    await running.ledger.settled()
    ended = await running.ledger.finished() - before
    if ended != jobs:
        raise RuntimeError(f"{jobs} jobs were submitted, {ended} ended well")
