"""The door itself: simulated provider over HTTP, real Valkey, real spans."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.domain.call import Call, CallOutcome
from app.domain.clock import SYSTEM_CLOCK
from app.domain.errors import Fault, InputError, MustWait, ProviderAuth, SystemFault, TransientError
from app.domain.ids import uuid7
from app.gateway.budgets.prices import Prices
from app.gateway.calls.booking import input_tokens
from app.gateway.gateway import Gateway
from app.gateway.lengths import UNKNOWN_TOKENS
from app.telemetry.traces import Tracing
from tests.clients.raw_server import answering, http_answer
from tests.conformance.client_suite import SCHEMA, until
from tests.gateway.asking import request, settings_for
from tests.gateway.conftest import NewGateway, NewLimiter
from tests.loadtest.provider_process import ProviderProcess, running_provider
from tests.stack import free_port


async def the_span(spans: InMemorySpanExporter) -> ReadableSpan:
    def calls() -> list[ReadableSpan]:
        return [span for span in spans.get_finished_spans() if span.name.startswith("chat ")]

    await until(lambda: len(calls()) == 1)
    return calls()[0]


async def test_an_answer_with_its_record_and_span(
    new_gateway: NewGateway, provider: ProviderProcess, spans: InMemorySpanExporter
) -> None:
    provider.set_answers({"good product": "positive"})
    calls: list[Call] = []
    asked = request("good product", max_output_tokens=50)
    answer = await new_gateway(settings_for(provider.base_url)).complete(asked, calls.append)
    assert (answer.text, answer.finish_reason) == ("positive", "stop")
    (call,), (seen,) = calls, provider.calls()
    assert (call.provider, call.model, call.pool, call.outcome) == ("main", "mini-1", "main/mini", "succeeded")
    assert (call.error_code, call.http_status, call.price_known) == (None, 200, True)
    assert (call.input_tokens, call.output_tokens) == (seen["prompt_tokens"], seen["completion_tokens"])
    uncached = call.input_tokens - call.cached_tokens
    assert call.cost_nanos == uncached * 150 + call.cached_tokens * 75 + call.output_tokens * 600
    assert 0 <= call.limiter_wait_s < 5
    assert call.started_at < call.ended_at <= datetime.now(UTC)
    assert call.request is not None
    assert orjson.loads(call.request) == {
        "model": "mini-1",
        "messages": [{"role": "user", "content": "good product"}],
        "max_output_tokens": 50,
    }
    assert call.answer is not None
    assert orjson.loads(call.answer) == {"text": "positive", "finish_reason": "stop"}
    assert seen["idempotency_key"].startswith("job-1/classify-")
    assert seen["traceparent"] == f"00-{asked.trace.trace_id}-{call.span_id}-01"

    span = await the_span(spans)
    assert span.context is not None and span.parent is not None
    assert f"{span.context.span_id:016x}" == call.span_id
    assert f"{span.parent.span_id:016x}" == asked.trace.span_id
    assert (span.name, span.kind.name) == ("chat mini-1", "CLIENT")
    attributes = dict(span.attributes or {})
    assert attributes["gen_ai.usage.input_tokens"] == call.input_tokens
    assert attributes["gen_ai.provider.name"] == "main"
    assert "good product" not in repr(attributes)
    assert "positive" not in repr(attributes)


@pytest.mark.parametrize(
    ("kind", "fault_type", "code", "status", "feared"),
    [
        ("http_503", TransientError, "provider_unavailable", 503, False),
        ("timeout", TransientError, "provider_timeout", None, True),
        ("truncated_body", TransientError, "provider_unavailable", None, True),
        ("insufficient_quota", ProviderAuth, "provider_auth", 429, False),
        ("context_length_exceeded", InputError, "provider_refused", 400, False),
    ],
)
async def test_a_failed_call_is_recorded_and_never_repeated(
    new_gateway: NewGateway,
    provider: ProviderProcess,
    spans: InMemorySpanExporter,
    kind: str,
    fault_type: type[Fault],
    code: str,
    status: int | None,
    feared: bool,
) -> None:
    """A provider that refused charges nothing; one of which no more was heard may have charged for a whole answer."""
    provider.set_faults(error_rates={kind: 1})
    calls: list[Call] = []
    timeout_s = 0.3 if kind == "timeout" else 10.0
    with pytest.raises(fault_type) as caught:
        await new_gateway(settings_for(provider.base_url)).complete(request(timeout_s=timeout_s), calls.append)
    assert caught.value.code == code
    assert len(provider.calls()) == 1
    (call,) = calls
    assert (call.outcome, call.error_code, call.http_status) == ("failed", code, status)
    cost = input_tokens(call.request or b"") * 150 + UNKNOWN_TOKENS * 600 if feared else 0
    assert (call.cost_nanos, call.price_known, call.input_tokens) == (cost, not feared, 0)
    assert call.request is not None
    assert call.answer is None
    span = await the_span(spans)
    assert dict(span.attributes or {})["error.type"] == code
    assert span.status.description == code


async def test_a_schema_and_a_cut_answer(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    gateway, calls = new_gateway(settings_for(provider.base_url)), list[Call]()
    answer = await gateway.complete(request(schema=SCHEMA, schema_name="Sentiment"), calls.append)
    assert orjson.loads(answer.text)["label"] in ("positive", "negative")
    answer = await gateway.complete(request(schema=SCHEMA, max_output_tokens=2), calls.append)
    assert answer.finish_reason == "length"
    assert [call.outcome for call in calls] == [CallOutcome.SUCCEEDED] * 2


async def test_a_provider_that_was_never_reached_charges_nothing(new_gateway: NewGateway) -> None:
    calls: list[Call] = []
    with pytest.raises(TransientError):
        await new_gateway(settings_for(f"http://127.0.0.1:{free_port()}/v1")).complete(request(), calls.append)
    assert [(call.cost_nanos, call.price_known) for call in calls] == [(0, True)]


async def test_refused_content_was_paid_for(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    provider.set_faults(error_rates={"content_filter": 1})
    calls: list[Call] = []
    with pytest.raises(InputError) as caught:
        await new_gateway(settings_for(provider.base_url)).complete(request(), calls.append)
    assert caught.value.code == "provider_refused"
    assert (calls[0].outcome, calls[0].error_code) == ("failed", "provider_refused")
    assert calls[0].cost_nanos > 0


async def test_an_answer_without_a_count_is_estimated_and_says_so(new_gateway: NewGateway) -> None:
    body = orjson.dumps({"choices": [{"message": {"content": "hi " * 100}, "finish_reason": "stop"}]})
    calls: list[Call] = []
    async with answering(http_answer(body)) as server:
        await new_gateway(settings_for(server.base_url)).complete(request(), calls.append)
    assert not calls[0].price_known
    assert calls[0].output_tokens > 50
    assert calls[0].cost_nanos == calls[0].input_tokens * 150 + calls[0].output_tokens * 600


async def test_a_429_waits_and_asks_again_by_itself(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    provider.set_answers({"hello": [{"$fault": "rate_limited"}, "hi"]})
    gateway = new_gateway(settings_for(provider.base_url))
    calls: list[Call] = []
    assert (await gateway.complete(request(), calls.append)).text == "hi"
    assert [call.outcome for call in calls] == ["rate_limited", "succeeded"]
    assert (calls[0].error_code, calls[0].http_status) == ("provider_rate_limited", 429)
    assert calls[1].limiter_wait_s > 0.07
    assert (calls[1].started_at - calls[0].ended_at).total_seconds() > 0.07
    assert calls[0].span_id != calls[1].span_id
    assert len({call["idempotency_key"] for call in provider.calls()}) == 1


async def test_a_long_limit_parks_the_job_and_stops_every_worker(
    new_gateway: NewGateway, provider: ProviderProcess
) -> None:
    error = orjson.dumps({"error": {"message": "x", "type": "requests", "code": "rate_limit_exceeded"}})
    calls: list[Call] = []
    async with answering(http_answer(error, "429 Too Many", retry_after="60")) as server:
        settings = settings_for(server.base_url, per_minute=None, max_slot_wait_s=1)
        mine, other = new_gateway(settings), new_gateway(settings)
        for gateway in (mine, mine, other):
            started = time.monotonic()
            with pytest.raises(MustWait) as caught:
                await gateway.complete(request(), calls.append)
            assert caught.value.reason == "rate_limit"
            # Who was not told the time itself is woken by its pool, and looks by itself much later.
            assert 50 < (caught.value.until - datetime.now(UTC)).total_seconds() <= 190
            assert time.monotonic() - started < 5
    assert [call.outcome for call in calls] == ["rate_limited"]


async def test_the_providers_own_time_counts(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    provider.set_faults(error_rates={"rate_limited": 1}, limit_headers="retry-after")
    gateway = new_gateway(settings_for(provider.base_url, rate_limit_wait_s=60))
    call = asyncio.create_task(gateway.complete(request(), lambda call: None))
    await until(lambda: len(provider.calls()) == 1)
    provider.reset_faults()
    assert (await call).finish_reason == "stop"


async def test_a_crowd_under_a_limit_is_served_whole(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    provider.set_faults(rpm=1200, burst_s=1, limit_headers="full", latency="fixed(20)")
    settings = settings_for(provider.base_url, per_minute=None)
    gateways = [new_gateway(settings), new_gateway(settings)]
    calls: list[Call] = []
    answers = await asyncio.gather(*(gateways[n % 2].complete(request(f"item {n}"), calls.append) for n in range(60)))
    stats = provider.stats()
    assert len(answers) == stats["by_status"]["200"] == 60
    assert stats["calls"] == len(calls)
    assert stats["max_in_flight_seen"] <= 10


async def test_a_later_try_does_not_queue_a_second_time(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    gateway, project, now = new_gateway(settings_for(provider.base_url, per_minute=600)), uuid7(), datetime.now(UTC)
    anew = [request(f"item {n}", project_id=project, since=now) for n in range(30)]
    callers = [asyncio.create_task(gateway.complete(one, lambda call: None)) for one in anew]
    await until(lambda: provider.stats()["calls"] >= 5)
    later = request("once more", project_id=project, since=now - timedelta(seconds=5), again=True)
    await gateway.complete(later, lambda call: None)
    await asyncio.gather(*callers)
    assert [call["item"] for call in provider.calls()].index("once more") < 20


async def test_the_cap_holds_over_workers_and_cancellation(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    provider.set_faults(latency="fixed(400)")
    settings = settings_for(provider.base_url)
    gateways = [new_gateway(settings) for _ in range(3)]
    calls: list[Call] = []
    tasks = [asyncio.create_task(gateways[n % 3].complete(request(f"{n}"), calls.append)) for n in range(60)]
    await until(lambda: provider.stats()["max_in_flight_seen"] >= 5)
    for task in tasks[::4]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) >= 45
    assert provider.stats()["max_in_flight_seen"] <= 10
    canceled = [call for call in calls if call.error_code == "canceled"]
    assert {(call.outcome, call.price_known, call.cost_nanos > 0) for call in canceled} == {("failed", False, True)}
    # Every slot is free again: ten calls go at once.
    provider.set_faults(latency="fixed(600)")
    provider.clear_calls()
    await asyncio.gather(*(gateways[n % 3].complete(request(f"again {n}"), calls.append) for n in range(10)))
    assert provider.stats()["max_in_flight_seen"] == 10


async def test_a_test_key_meets_the_simulated_provider_only(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    with running_provider() as real:
        settings = settings_for(real.base_url)
        with pytest.raises(SystemFault):
            await new_gateway(settings).complete(request(test_mode=True), lambda call: None)
        both = settings.model_copy(update={"simulator_url": provider.url})
        calls: list[Call] = []
        await new_gateway(both).complete(request(test_mode=True), calls.append)
        assert real.calls() == []
    assert (calls[0].provider, calls[0].model, calls[0].price_known) == ("simulated", "small-sim", True)
    assert provider.calls()[0]["model"] == "small-sim"


async def test_bugs_free_the_slot(
    new_gateway: NewGateway, new_limiter: NewLimiter, provider: ProviderProcess, spans: InMemorySpanExporter
) -> None:
    settings, calls = settings_for(provider.base_url), list[Call]()
    gateway = new_gateway(settings)
    without_clients = Gateway(settings, {}, new_limiter(), Prices(settings), SYSTEM_CLOCK, Tracing(None, Resource({})))
    for _ in range(12):
        with pytest.raises(TypeError):
            await gateway.complete(request(schema={"a": object()}), calls.append)
        with pytest.raises(SystemFault, match="KeyError"):
            await without_clients.complete(request(), lambda call: None)
    assert provider.calls() == []
    await gateway.complete(request(), calls.append)
