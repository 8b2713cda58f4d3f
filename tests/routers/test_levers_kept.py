"""What an operator did to a pool or a breaker stands, though Redis is emptied."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from tests.routers.support import fresh
from tests.routers.test_breakers import force, shown
from tests.routers.test_pools import pool, steer
from tests.stack import Stack, until


@pytest.fixture
def moved(stack: Stack) -> Iterator[None]:
    """Whatever it moves is taken back."""
    pool(stack)
    yield
    for act, body in (("resume", {}), ("announce", {}), ("breaker", {"state": "auto"})):
        pool(stack)
        steer(stack, act, body)


def empty(stack: Stack) -> None:
    """As a Redis that was started again is."""

    async def flush() -> None:
        redis: Redis = Redis.from_url(stack.servers.redis_url)
        await redis.flushall()
        await redis.aclose()

    asyncio.run(flush())


def calls(stack: Stack) -> int:
    return len(stack.provider.calls())


def test_a_stopped_pool_stays_so(stack: Stack, moved: None) -> None:
    steer(stack, "announce", {"tokens_per_minute": 77_000})
    steer(stack, "breaker", {"state": "closed"})
    steer(stack, "pause", {"for": "10m"})
    before = calls(stack)
    empty(stack)
    # A job comes first: its worker is the one that tells Redis.
    job = stack.submit("asks", {"text": fresh()})["id"]
    until(lambda: stack.job(job)["status"] == "waiting")
    assert calls(stack) == before
    found = pool(stack)
    assert found["state"] == "paused"
    assert 77_000 in [limit["per_minute"] for limit in found["limits"]]
    empty(stack)
    # Now somebody looks first, and then moves another lever.
    assert pool(stack)["state"] == "paused"
    empty(stack)
    assert steer(stack, "announce", {})["state"] == "paused"
    empty(stack)
    assert steer(stack, "resume")["state"] == "closed"
    assert stack.ended(job)["status"] == "succeeded"
    empty(stack)
    assert pool(stack)["state"] == "closed", "what was taken back does not come again"


def test_a_pause_that_is_over_does_not_come_again(stack: Stack, moved: None) -> None:
    steer(stack, "pause", {"for": "300ms"})
    until(lambda: stack.submit("asks", {"text": fresh()}, wait=20)["status"] == "succeeded")
    empty(stack)
    assert pool(stack)["state"] == "closed"


def test_a_forced_breaker_stays_so(stack: Stack) -> None:
    name = f"crm/{uuid4().hex}"
    assert stack.submit("behind", {"breaker": name}, wait=20)["status"] == "succeeded"
    force(stack, name, "open")
    empty(stack)
    job = stack.submit("behind", {"breaker": name})["id"]
    until(lambda: stack.job(job)["reason"] == "provider_down")
    empty(stack)
    again = shown(stack, name)
    assert again is not None and (again["state"], again["forced"]) == ("open", True)
    empty(stack)
    assert force(stack, name, "auto")["forced"] is False
    assert stack.ended(job)["status"] == "succeeded"
