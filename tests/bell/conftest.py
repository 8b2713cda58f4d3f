"""A real Valkey for the doorbell."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from arq.connections import ArqRedis

from app.bell.redis import open_redis
from app.bell.ring import Ring
from app.bell.wake import Wake
from tests.supervise.embedded import RunningServer, running_valkey


@pytest.fixture(scope="module")
def valkey() -> Iterator[RunningServer]:
    """Running; tests may kill it and start it again."""
    with running_valkey() as server:
        yield server


@pytest.fixture
async def redis(valkey: RunningServer) -> AsyncIterator[ArqRedis]:
    """An empty server."""
    client = open_redis(valkey.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def ring(redis: ArqRedis) -> AsyncIterator[Ring]:
    """Closed before its client: what rings later would open a connection that nobody closes."""
    made = Ring(redis)
    yield made
    await made.close()


@pytest.fixture
async def worker(redis: ArqRedis) -> AsyncIterator[Wake]:
    """The end in a process that runs jobs; closed before its client."""
    made = Wake(redis)
    yield made
    await made.close()
