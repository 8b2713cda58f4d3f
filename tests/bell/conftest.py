"""A real Valkey for the doorbell."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from arq.connections import ArqRedis

from app.bell.redis import open_redis
from tests.supervise.embedded import RunningServer, open_folder, open_servers


@pytest.fixture(scope="module")
def valkey() -> Iterator[RunningServer]:
    """Running; tests may kill it and start it again."""
    with open_folder() as folder:
        server = open_servers(folder).valkey
        server.start()
        yield server
        server.stop()


@pytest.fixture
async def redis(valkey: RunningServer) -> AsyncIterator[ArqRedis]:
    """An empty server."""
    client = open_redis(valkey.url)
    await client.flushall()
    yield client
    await client.aclose()
