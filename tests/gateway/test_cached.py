"""Answers of models, cached: real gateways, a real provider whose calls are counted, a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.domain import ids
from app.domain.call import Call, CallOutcome
from app.domain.clock import SYSTEM_CLOCK
from app.domain.errors import MustWait, TransientError
from app.gateway.caches.cache import ExactCache
from app.gateway.caches.cached import Cached
from app.gateway.calls.keeping import Keeping
from app.gateway.calls.request import Caching, Message, ModelAnswer, ModelRequest
from app.settings import CacheSettings, LadderTarget, ModelAlias
from app.telemetry.traces import Tracing
from tests.gateway.asking import request, settings_for
from tests.gateway.conftest import NewGateway, open_redis
from tests.loadtest.provider_process import ProviderProcess
from tests.supervise.embedded import RunningServer

NewCached = Callable[..., Cached]
PROJECT = ids.uuid7()


@pytest_asyncio.fixture
async def new_cached(
    shared_valkey: RunningServer, prefix: str, new_gateway: NewGateway, provider: ProviderProcess, tracing: Tracing
) -> AsyncIterator[NewCached]:
    """Gateways with a memory, as separate processes have them."""
    async with AsyncExitStack() as stack:

        def new(models: tuple[str, ...] = ("mini-1",), **settings: Any) -> Cached:
            client = open_redis(shared_valkey.url)
            stack.push_async_callback(client.aclose)
            cache = ExactCache(client, CacheSettings(**settings), "s", SYSTEM_CLOCK, f"{prefix}{{cache}}:")
            stack.push_async_callback(cache.close)
            ladder = [LadderTarget(provider="main", model=model) for model in models]
            asked = settings_for(provider.base_url)
            asked = asked.model_copy(
                update={"models": {"small": ModelAlias(ladder=ladder)}, "simulator_url": provider.url}
            )
            return Cached(new_gateway(asked), cache, SYSTEM_CLOCK, tracing)

        yield new


def question(
    text: str, *, keep: bool = True, ttl_s: float = 60, tags: tuple[str, ...] = (), **more: Any
) -> ModelRequest:
    caching = Caching(Keeping(ttl_s, tags), lambda _: keep)
    return request(text, **{"project_id": PROJECT, "caching": caching, **more})


async def answer(cached: Cached, asked: ModelRequest) -> tuple[ModelAnswer, list[Call]]:
    calls: list[Call] = []
    return await cached.complete(asked, calls.append), calls


async def test_a_hundred_equal_questions_at_once_are_one_call(new_cached: NewCached, provider: ProviderProcess) -> None:
    provider.set_faults(latency="fixed(300)")
    processes = [new_cached() for _ in range(4)]
    found = await asyncio.gather(*(answer(processes[n % 4], question("the same")) for n in range(100)))
    assert len(provider.calls()) == 1
    assert len({one.text for one, _ in found}) == 1
    calls = [call for _, made in found for call in made]
    (paid,) = [call for call in calls if call.outcome is CallOutcome.SUCCEEDED]
    hits = [call for call in calls if call.outcome is CallOutcome.CACHED]
    assert len(hits) == 99
    assert {(hit.cost_nanos, hit.saved_nanos, hit.provider, hit.model) for hit in hits} == {
        (0, paid.cost_nanos, "main", "mini-1")
    }
    assert paid.cost_nanos > 0 and {hit.usage.calls for hit in hits} == {0}


@pytest.mark.parametrize(
    "other",
    [
        {"messages": (Message("user", "another"),)},
        {"messages": (Message("system", "a question"),)},
        {"project_id": UUID(int=1)},
        {"test_mode": True},
        {"schema": {"type": "object", "properties": {}, "required": [], "additionalProperties": False}},
        {"max_output_tokens": 50},
    ],
    ids=["text", "role", "project", "mode", "schema", "bound"],
)
async def test_another_question_is_asked(
    new_cached: NewCached, provider: ProviderProcess, other: dict[str, Any]
) -> None:
    cached = new_cached()
    for asked in (question("a question"), question("a question"), question("a question", **other)):
        await answer(cached, asked)
    assert len(provider.calls()) == 2


async def test_another_ladder_under_the_same_alias_is_asked(new_cached: NewCached, provider: ProviderProcess) -> None:
    for models in (("mini-1",), ("mini-1",), ("big-1",), ("mini-1", "big-1")):
        await answer(new_cached(models), question("a question"))
    assert len(provider.calls()) == 3


async def test_without_a_policy_each_question_is_asked(new_cached: NewCached, provider: ProviderProcess) -> None:
    cached, disabled = new_cached(), new_cached(enabled=False)
    for _ in range(2):
        await answer(cached, question("x", caching=None))
        await answer(disabled, question("x"))
    assert len(provider.calls()) == 4


async def test_an_answer_that_does_not_fit_is_not_kept(new_cached: NewCached, provider: ProviderProcess) -> None:
    cached = new_cached()
    at_once = await asyncio.gather(*(answer(cached, question("unfit", keep=False)) for _ in range(10)))
    assert len(provider.calls()) == 1, "those who asked at once share it"
    assert len({one.text for one, _ in at_once}) == 1
    await answer(cached, question("unfit"))
    await answer(cached, question("unfit"))
    assert len(provider.calls()) == 2


async def test_a_known_answer_that_does_not_fit_is_asked_for_again(
    new_cached: NewCached, provider: ProviderProcess
) -> None:
    cached = new_cached()
    await answer(cached, question("x"))
    await answer(cached, question("x", keep=False))
    assert len(provider.calls()) == 2


async def test_a_known_answer_that_no_longer_fits_is_replaced_by_one_call(
    new_cached: NewCached, provider: ProviderProcess
) -> None:
    processes = [new_cached() for _ in range(4)]
    provider.set_answers({"x": ["old", "new"]})
    await answer(processes[0], question("x"))
    provider.set_faults(latency="fixed(300)")
    checked = Caching(Keeping(60), lambda one: one.text == "new")
    found = await asyncio.gather(*(answer(processes[n % 4], question("x", caching=checked)) for n in range(100)))
    assert len(provider.calls()) == 2 and {one.text for one, _ in found} == {"new"}
    later, (hit,) = await answer(processes[1], question("x", caching=checked))
    assert (later.text, hit.outcome) == ("new", CallOutcome.CACHED)
    assert len(provider.calls()) == 2


async def test_a_failure_is_met_once_by_all_who_ask_at_once_and_is_not_kept(
    new_cached: NewCached, provider: ProviderProcess
) -> None:
    cached = new_cached()
    provider.set_faults(error_rates={"http_500": 1})
    found = await asyncio.gather(
        *(cached.complete(question("bad"), lambda _: None) for _ in range(10)), return_exceptions=True
    )
    assert len(provider.calls()) == 1
    assert all(isinstance(one, TransientError) for one in found)
    provider.reset_faults()
    await answer(cached, question("bad"))
    assert len(provider.calls()) == 2


async def test_a_known_answer_is_streamed_in_one_piece(new_cached: NewCached, provider: ProviderProcess) -> None:
    cached, pieces = new_cached(), []
    first, _ = await answer(cached, question("stream"))
    second = await cached.complete(question("stream"), lambda _: None, pieces.append)
    assert pieces == [first.text] == [second.text]
    assert len(provider.calls()) == 1


async def test_while_the_breaker_is_open_a_stale_answer_is_given_and_says_so(
    new_cached: NewCached, provider: ProviderProcess
) -> None:
    cached = new_cached()
    first, _ = await answer(cached, question("old", ttl_s=0.05))
    await asyncio.sleep(0.1)
    provider.set_faults(down="refuse")
    async with asyncio.timeout(60):
        with pytest.raises(MustWait, match="provider_down"):
            while True:
                with suppress(TransientError):
                    await answer(cached, question("anything", caching=None))
    second, (call,) = await answer(cached, question("old"))
    assert (second.text, call.outcome, call.pool) == (first.text, CallOutcome.CACHED, "cache (stale)")
    assert second.stale_s is not None and second.stale_s > 0 and first.stale_s is None
    with pytest.raises(MustWait):
        await answer(cached, question("never asked"))
