"""The Redis client of a process: a bounded number of connections, and an end to every command."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from arq.connections import ArqRedis

from app.bell.redis import AWAY, open_redis
from tests.supervise.embedded import RunningServer, open_folder, open_servers


@asynccontextmanager
async def client(url: str, most: int) -> AsyncIterator[ArqRedis]:
    made = open_redis(url, most)
    try:
        yield made
    finally:
        await made.aclose()


@pytest.fixture
def server() -> Iterator[RunningServer]:
    """One that a test may freeze."""
    with open_folder() as folder:
        made = open_servers(folder).valkey
        made.start()
        yield made
        os.kill(made.pid, signal.SIGCONT)
        made.stop()


async def test_many_commands_at_once_share_a_few_connections(server: RunningServer) -> None:
    async with client(server.url, 3) as redis:
        numbers = await asyncio.gather(*(redis.incr("n") for _ in range(200)))
        assert sorted(numbers) == list(range(1, 201))
        assert len(await redis.client_list()) <= 3


async def test_who_finds_no_free_connection_in_time_hears_that_it_is_away(server: RunningServer) -> None:
    async with client(server.url, 1) as redis:
        await redis.ping()
        pop: Any = redis.bzmpop(0.4, 1, ["nothing"], min=True, count=1)
        holder = asyncio.create_task(pop)
        await asyncio.sleep(0.05)
        assert await redis.ping(), "it had to wait, and not for too long"
        await holder
        subscribed = redis.pubsub()
        await subscribed.subscribe("anything")
        with pytest.raises(AWAY):
            await redis.ping()
        await subscribed.aclose()  # type: ignore[no-untyped-call]
        assert await redis.ping()


async def test_a_frozen_server_holds_nobody_also_after_many_have_failed(server: RunningServer) -> None:
    async with client(server.url, 64) as redis:
        await redis.ping()
        os.kill(server.pid, signal.SIGSTOP)
        for _ in range(2):
            async with asyncio.timeout(20):
                ends = await asyncio.gather(*(redis.set("x", n) for n in range(20)), return_exceptions=True)
            assert all(isinstance(end, AWAY) for end in ends)
        os.kill(server.pid, signal.SIGCONT)
        async with asyncio.timeout(20):
            while True:
                try:
                    await redis.set("x", "back")
                    break
                except AWAY:
                    await asyncio.sleep(0.05)
