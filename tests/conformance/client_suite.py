"""What every model client must do, whatever its protocol: run against the simulated provider in its own process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.clients.base import ModelClient, WireError, WireRequest
from app.domain.errors import Fault, InputError, ProviderAuth, RateLimited, TransientError
from tests.loadtest.provider_process import ProviderProcess, running_provider

SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["positive", "negative"]}, "confidence": {"type": "number"}},
    "required": ["label", "confidence"],
    "additionalProperties": False,
}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Connect = Callable[[str, str | None], ModelClient]


def wire(content: str = "hello", **changes: Any) -> WireRequest:
    """A call with one user message."""
    given: dict[str, Any] = {
        "model": "mini-1",
        "messages": (("system", "Answer in one word."), ("user", content)),
        "schema": None,
        "schema_name": None,
        "max_output_tokens": None,
        "timeout_s": 10.0,
        "max_answer_bytes": 1 << 20,
        "traceparent": TRACEPARENT,
        "idempotency_key": "job-1/classify",
    }
    return WireRequest(**{**given, **changes})


async def fault_of(client: ModelClient, call: WireRequest) -> tuple[Fault, int | None]:
    """The fault that this call meets, and its HTTP status."""
    with pytest.raises(WireError) as caught:
        await client.complete(call)
    return caught.value.fault, caught.value.status


async def until(happens: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until that is so. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not happens():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class ClientSuite:
    """Subclasses give `connect`: a client for a base address and a key."""

    @pytest.fixture
    def connect(self, http: httpx.AsyncClient) -> Connect:
        raise NotImplementedError

    @pytest.fixture
    def client(self, connect: Connect, provider: ProviderProcess) -> ModelClient:
        return connect(provider.base_url, None)

    async def test_an_answer_with_its_usage(self, client: ModelClient, provider: ProviderProcess) -> None:
        provider.set_answers({"good product": "positive"})
        answer = await client.complete(wire("good product"))
        (call,) = provider.calls()
        assert (answer.text, answer.finish_reason, answer.status) == ("positive", "stop", 200)
        assert answer.usage is not None
        assert answer.usage.input == call["prompt_tokens"] > 0
        assert answer.usage.output == call["completion_tokens"] > 0
        assert 0 <= answer.usage.cached <= answer.usage.input
        assert call["model"] == "mini-1"

    async def test_the_schema_reaches_the_model(self, client: ModelClient) -> None:
        for n in range(5):
            answer = await client.complete(wire(f"review {n}", schema=SCHEMA, schema_name="Sentiment[T]"))
            value = json.loads(answer.text)
            assert value["label"] in ("positive", "negative")
            assert isinstance(value["confidence"], int | float)

    async def test_headers_for_trace_and_repetition(self, client: ModelClient, provider: ProviderProcess) -> None:
        await client.complete(wire())
        await client.complete(wire(idempotency_key="Schlüssel\n" * 100))
        first, second = provider.calls()
        assert (first["traceparent"], first["idempotency_key"]) == (TRACEPARENT, "job-1/classify")
        assert len(second["idempotency_key"]) == 64

    async def test_an_answer_cut_by_its_length_says_so(self, client: ModelClient, provider: ProviderProcess) -> None:
        provider.set_answers({"tell me": "word " * 200})
        answer = await client.complete(wire("tell me", max_output_tokens=5))
        assert answer.finish_reason == "length"
        assert answer.usage is not None
        assert answer.usage.output == 5
        assert len(answer.text) < 100

    async def test_refused_content_says_so(self, client: ModelClient, provider: ProviderProcess) -> None:
        provider.set_faults(error_rates={"content_filter": 1})
        answer = await client.complete(wire())
        assert answer.finish_reason == "content_filter"
        assert answer.usage is not None

    @pytest.mark.parametrize(
        ("kind", "fault_type", "code", "status"),
        [
            ("http_500", TransientError, "provider_unavailable", 500),
            ("http_503", TransientError, "provider_unavailable", 503),
            ("http_529", TransientError, "provider_unavailable", 529),
            ("timeout", TransientError, "provider_timeout", None),
            ("reset", TransientError, "provider_unavailable", None),
            ("truncated_body", TransientError, "provider_unavailable", None),
            ("rate_limited", RateLimited, "provider_rate_limited", 429),
            ("insufficient_quota", ProviderAuth, "provider_auth", 429),
            ("invalid_request", InputError, "provider_refused", 400),
            ("context_length_exceeded", InputError, "provider_refused", 400),
        ],
    )
    async def test_errors_by_class(
        self, client: ModelClient, provider: ProviderProcess, kind: str, fault_type: type, code: str, status: int | None
    ) -> None:
        provider.set_faults(error_rates={kind: 1})
        fault, got = await fault_of(client, wire("SECRET PROMPT", timeout_s=0.3 if kind == "timeout" else 10))
        assert (type(fault), fault.code, got) == (fault_type, code, status)
        assert "SECRET" not in fault.detail
        assert len(provider.calls()) == 1
        if kind == "context_length_exceeded":
            assert kind in fault.detail

    async def test_it_is_usable_after_each_fault(self, client: ModelClient, provider: ProviderProcess) -> None:
        for kind in ("reset", "truncated_body", "timeout", "http_500"):
            provider.set_faults(error_rates={kind: 1})
            await fault_of(client, wire(timeout_s=0.2 if kind == "timeout" else 10))
            provider.reset_faults()
            assert (await client.complete(wire())).finish_reason == "stop"

    async def test_the_provider_names_when_to_come_again(self, client: ModelClient, provider: ProviderProcess) -> None:
        for headers, expected in (("none", None), ("retry-after", 1.0), ("full", 1.0)):
            provider.set_faults(error_rates={"rate_limited": 1}, limit_headers=headers)
            fault, _ = await fault_of(client, wire())
            assert fault.retry_after_s == expected

    async def test_a_wrong_key_is_never_worth_a_wait(self, connect: Connect) -> None:
        with running_provider("--api-key", "right-key") as provider:
            assert (await connect(provider.base_url, "right-key").complete(wire())).finish_reason == "stop"
            for wrong in ("wrong-key", None):
                fault, status = await fault_of(connect(provider.base_url, wrong), wire())
                assert (type(fault), status) == (ProviderAuth, 401)
                assert "wrong-key" not in fault.detail

    async def test_nobody_listens(self, connect: Connect) -> None:
        with running_provider() as provider:
            client = connect(provider.base_url, None)
            await client.complete(wire())
            provider.kill()
            fault, status = await fault_of(client, wire())
        assert (type(fault), fault.code, status) == (TransientError, "provider_unavailable", None)

    async def test_a_provider_that_hangs_is_left_in_time(self, client: ModelClient, provider: ProviderProcess) -> None:
        provider.set_faults(down="hang")
        started = asyncio.get_running_loop().time()
        fault, _ = await fault_of(client, wire(timeout_s=0.3))
        assert fault.code == "provider_timeout"
        assert asyncio.get_running_loop().time() - started < 2

    async def test_cancellation_hangs_up(self, client: ModelClient, provider: ProviderProcess) -> None:
        provider.set_faults(latency="fixed(20000)")
        call = asyncio.create_task(client.complete(wire()))
        await until(lambda: provider.stats()["in_flight"] == 1)
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        await until(lambda: provider.stats()["in_flight"] == 0)

    async def test_lone_surrogates_do_not_break_it(self, client: ModelClient) -> None:
        try:
            await client.complete(wire("half \ud83d a pair, and a NUL \x00"))
        except WireError as error:
            assert isinstance(error.fault, InputError)

    async def test_many_at_once(self, client: ModelClient, provider: ProviderProcess) -> None:
        provider.set_faults(latency="fixed(200)")
        answers = await asyncio.gather(*(client.complete(wire(f"item {n}")) for n in range(150)))
        assert len(answers) == 150
        assert provider.stats()["max_in_flight_seen"] == 150
