"""Embeddings, cached for each text: real gateways, a real provider that notes what it was asked, a real Valkey."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.domain.call import Call, CallOutcome
from app.domain.errors import ProcessingError, TransientError
from app.gateway.caches.cached import Cached
from app.gateway.caches.embedding import MOST_TEXTS, portions
from app.gateway.calls.keeping import Keeping
from app.gateway.calls.request import Caching, ModelAnswer
from app.loadtest.provider.openai_embeddings import vector_of
from tests.conformance.client_suite import until
from tests.gateway.asking import request, settings_for
from tests.gateway.conftest import NewGateway
from tests.gateway.test_cached import PROJECT, NewCached, new_cached
from tests.loadtest.provider_process import ProviderProcess

__all__ = ["new_cached"]


async def embed(
    cached: Cached, *texts: str, keeping: Keeping | None = None, **more: Any
) -> tuple[ModelAnswer, list[Call]]:
    calls: list[Call] = []
    caching = Caching(keeping or Keeping(None), lambda _: True)
    asked = request(**{"messages": (), "texts": texts, "project_id": PROJECT, "caching": caching, **more})
    return await cached.complete(asked, calls.append), calls


def asked_for(provider: ProviderProcess) -> list[list[str]]:
    return [call["item"].split("\n") for call in provider.calls()]


async def test_each_text_has_its_vector_in_order_and_is_asked_for_once(
    new_cached: NewCached, provider: ProviderProcess
) -> None:
    cached = new_cached()
    found, (paid,) = await embed(cached, "a b", "c", "a b")
    assert [list(vector) for vector in found.vectors] == [vector_of("a b"), vector_of("c"), vector_of("a b")]
    assert (paid.outcome, paid.output_tokens) == (CallOutcome.SUCCEEDED, 0) and paid.cost_nanos > 0
    again, (known,) = await embed(cached, "c", "a b")
    assert again.vectors == (found.vectors[1], found.vectors[0])
    assert (known.outcome, known.cost_nanos) == (CallOutcome.CACHED, 0)
    assert paid.cost_nanos - 2 <= known.saved_nanos <= paid.cost_nanos
    assert asked_for(provider) == [["a b", "c"]]


async def test_spans_say_that_it_was_no_chat(
    new_cached: NewCached, spans: InMemorySpanExporter, provider: ProviderProcess
) -> None:
    cached = new_cached()
    for _ in range(2):
        await embed(cached, "traced")
    await until(lambda: len(spans.get_finished_spans()) == 2)
    for span in spans.get_finished_spans():
        assert (span.name, dict(span.attributes or {})["gen_ai.operation.name"]) == ("embeddings mini-1", "embeddings")


async def test_only_the_missing_ones_are_asked(new_cached: NewCached, provider: ProviderProcess) -> None:
    cached = new_cached()
    await embed(cached, "one", "two")
    _, calls = await embed(cached, "three", "one", "four", "two")
    assert asked_for(provider) == [["one", "two"], ["three", "four"]]
    assert sorted(call.outcome for call in calls) == [CallOutcome.CACHED, CallOutcome.SUCCEEDED]


async def test_a_hundred_who_want_the_same_at_once_cost_one_call(
    new_cached: NewCached, provider: ProviderProcess
) -> None:
    provider.set_faults(latency="fixed(300)")
    processes = [new_cached() for _ in range(4)]
    found = await asyncio.gather(*(embed(processes[n % 4], "x", "y") for n in range(100)))
    assert len(provider.calls()) == 1
    assert len({answer.vectors for answer, _ in found}) == 1
    outcomes = [call.outcome for _, calls in found for call in calls]
    assert (outcomes.count(CallOutcome.SUCCEEDED), outcomes.count(CallOutcome.CACHED)) == (1, 99)


async def test_a_failed_call_keeps_what_earlier_calls_brought(new_cached: NewCached, provider: ProviderProcess) -> None:
    cached, texts = new_cached(), [f"text {n}" for n in range(MOST_TEXTS + 10)]
    provider.set_answers({})
    provider.set_faults(error_rates={"http_500": 1})
    with pytest.raises(TransientError):
        await embed(cached, *texts)
    provider.reset_faults()
    await embed(cached, *texts[:MOST_TEXTS])
    before = len(provider.calls())
    await embed(cached, *texts)
    last = provider.calls()[-1]
    assert len(provider.calls()) == before + 1 and last["item"].split("\n") == texts[MOST_TEXTS:]


async def test_other_projects_and_models_know_nothing_of_it(new_cached: NewCached, provider: ProviderProcess) -> None:
    await embed(new_cached(), "x")
    await embed(new_cached(("big-1",)), "x")
    await embed(new_cached(), "x", project_id=request().project_id)
    assert len(provider.calls()) == 3


async def test_a_protocol_without_embeddings_says_so(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    gateway = new_gateway(settings_for(provider.base_url, dialect="anthropic"))
    with pytest.raises(ProcessingError, match="has no embeddings"):
        await gateway.complete(request(messages=(), texts=("x",)), lambda _: None)


def test_calls_have_a_size_that_providers_take() -> None:
    assert portions(["a"]) == [["a"]]
    assert [len(part) for part in portions(["a"] * 5000)] == [2048, 2048, 904]
    assert [len(part) for part in portions(["a" * 300_000] * 3)] == [1, 1, 1]
    assert portions(["a" * 600_000]) == [["a" * 600_000]]
