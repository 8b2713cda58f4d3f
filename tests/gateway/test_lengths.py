"""Lengths of answers that outlast the process that learned them, in a real Valkey."""

from __future__ import annotations

from redis.asyncio import Redis

from app.gateway.length_shelf import LengthShelf
from app.gateway.lengths import UNKNOWN_TOKENS, Lengths
from tests.gateway.conftest import open_redis
from tests.supervise.embedded import RunningServer

_ROUTE = ("triage", "classify", "main", "mini-1")


def _learned(*tokens: int) -> Lengths:
    lengths = Lengths()
    for one in tokens:
        lengths.learn(_ROUTE, one)
    return lengths


async def test_a_new_process_expects_what_the_last_one_learned(redis: Redis, prefix: str) -> None:
    await LengthShelf(redis, _learned(*range(1, 101)), prefix).keep()
    fresh = Lengths()
    await LengthShelf(redis, fresh, prefix).load()
    assert fresh.expected(_ROUTE, None) == 98
    assert fresh.expected(("other",), None) == UNKNOWN_TOKENS


async def test_what_a_process_learned_itself_counts(redis: Redis, prefix: str) -> None:
    await LengthShelf(redis, _learned(*[900] * 20), prefix).keep()
    own = _learned(*[7] * 20)
    await LengthShelf(redis, own, prefix).load()
    assert own.expected(_ROUTE, None) == 7


async def test_nothing_is_written_where_nothing_was_learned(redis: Redis, prefix: str) -> None:
    shelf = LengthShelf(redis, _learned(*[5] * 12), prefix)
    await shelf.keep()
    await redis.delete(prefix)
    await shelf.keep()
    assert not await redis.exists(prefix)
    assert await redis.ttl(prefix) == -2


async def test_without_redis_a_process_starts_as_one_that_knows_nothing(own_valkey: RunningServer, prefix: str) -> None:
    own_valkey.stop()
    fresh = Lengths()
    async with open_redis(own_valkey.url) as redis:
        await LengthShelf(redis, fresh, prefix).load()
    assert fresh.expected(_ROUTE, None) == UNKNOWN_TOKENS
