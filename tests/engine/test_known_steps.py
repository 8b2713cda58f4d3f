"""Steps with a memory in a real Valkey: known before they are tried, past the breaker, and stale behind an open one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.bell.redis import open_redis
from app.domain.clock import SYSTEM_CLOCK
from app.domain.job import Reason
from app.domain.step import Via
from app.engine.outcome import Failed, Parked, Succeeded
from app.gateway.breakers.breaker import Breakers
from app.gateway.caches.cache import ExactCache
from app.settings import CacheSettings
from laneway import Cache, Policy, TransientError
from tests.engine.support import Flaky, once
from tests.engine.test_guard import breakers, opened, valkey
from tests.supervise.embedded import RunningServer

__all__ = ["breakers", "valkey"]

MADE: list[object] = []
GIVEN: dict[str, object] = {"it": "made"}
POLICY = Policy(cache=Cache(ttl="1h"), breaker="crm", tries=1)


async def make() -> str:
    MADE.append("made")
    return "made"


async def make_any() -> str:
    MADE.append(GIVEN["it"])
    return GIVEN["it"]  # type: ignore[return-value]


async def make_away() -> str:
    MADE.append("tried")
    raise TransientError("away")


@pytest_asyncio.fixture
async def cache(valkey: RunningServer, request: pytest.FixtureRequest) -> AsyncIterator[ExactCache]:
    MADE.clear()
    client = open_redis(valkey.url)
    made = ExactCache(client, CacheSettings(), "s", SYSTEM_CLOCK, f"{request.node.name}{{cache}}:")
    yield made
    await made.close()
    await client.aclose()


async def test_a_known_result_is_recorded_without_a_try(cache: ExactCache) -> None:
    for cached in (False, True):
        outcome, journal = await once(make, policy=POLICY, cache=cache)
        assert isinstance(outcome, Succeeded) and outcome.degraded == ()
        (record,) = journal.records
        assert (record.cached, record.tries, record.output) == (cached, int(not cached), b'"made"')
    assert MADE == ["made"]
    for changes in ({"test_mode": True}, {"version": "2"}, {"workflow": "other"}):
        await once(make, policy=POLICY, cache=cache, **changes)
    assert len(MADE) == 4


async def test_a_known_result_passes_an_open_breaker_and_tells_it_nothing(
    cache: ExactCache, breakers: Breakers
) -> None:
    await once(make, policy=POLICY, cache=cache, breakers=breakers)
    await opened(breakers)
    outcome, _ = await once(make, policy=POLICY, cache=cache, breakers=breakers)
    assert isinstance(outcome, Succeeded) and outcome.degraded == () and MADE == ["made"]


async def test_behind_an_open_breaker_a_result_past_its_time_is_given_and_says_so(
    cache: ExactCache, breakers: Breakers
) -> None:
    brief = Policy(cache=Cache(ttl="50ms"), breaker="crm", tries=1, fallback=lambda: "by hand")
    await once(make, policy=brief, cache=cache, breakers=breakers)
    await asyncio.sleep(0.1)
    await opened(breakers)
    outcome, journal = await once(make, policy=brief, cache=cache, breakers=breakers)
    assert isinstance(outcome, Succeeded) and [one["reason"] for one in outcome.degraded] == ["stale_answer"]
    assert (journal.records[0].via, journal.records[0].output) == (Via.STALE, b'"made"')
    unknown = Policy(cache=Cache(ttl="50ms"), breaker="crm", tries=1)
    held, _ = await once(make_away, policy=unknown, cache=cache, breakers=breakers)
    assert isinstance(held, Parked) and held.reason is Reason.PROVIDER_DOWN


async def test_a_result_that_no_longer_fits_is_replaced(cache: ExactCache, monkeypatch: pytest.MonkeyPatch) -> None:
    await once(make_any, policy=POLICY, cache=cache)
    # The code is the same; what it is declared to give is not.
    monkeypatch.setitem(make_any.__annotations__, "return", int)
    monkeypatch.setitem(GIVEN, "it", 7)
    for cached in (False, True):
        outcome, journal = await once(make_any, policy=POLICY, cache=cache)
        assert isinstance(outcome, Succeeded) and (journal.records[0].cached, journal.records[0].output) == (
            cached,
            b"7",
        )
    assert MADE == ["made", 7]


async def test_a_failure_is_not_kept(cache: ExactCache) -> None:
    for _ in range(2):
        outcome, _ = await once(make_away, policy=Policy(cache=Cache(ttl="1h"), tries=1), cache=cache)
        assert isinstance(outcome, Failed)
    assert MADE == ["tried", "tried"]


async def test_a_function_with_a_state_is_refused(cache: ExactCache) -> None:
    outcome, _ = await once(Flaky(), policy=POLICY, cache=cache)
    assert isinstance(outcome, Failed) and "can't be told from others" in outcome.failure.detail
