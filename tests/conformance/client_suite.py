"""What every model client must do, whatever its protocol, with a stream and without one.

Run against the simulated provider in its own process.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from app.clients.base import ModelClient, WireAnswer, WireError, WireRequest
from app.domain.errors import Fault, InputError, ProviderAuth, RateLimited, SystemFault, TransientError
from tests.loadtest.provider_process import ProviderProcess, running_provider

SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["positive", "negative"]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["label", "confidence"],
    "additionalProperties": False,
}
# What structured output of some providers can't say: a map beside the closed members.
OPEN_SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["positive", "negative"]},
        "confidence": {"$ref": "#/$defs/Share"},
        "words": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
    "required": ["label", "confidence", "words"],
    "additionalProperties": False,
    "$defs": {"Share": {"type": "number", "minimum": 0, "maximum": 1}},
}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Connect = Callable[[str, str | None], ModelClient]
Ask = Callable[[ModelClient, WireRequest], Awaitable[WireAnswer]]


async def whole(client: ModelClient, call: WireRequest) -> WireAnswer:
    """The answer without a stream."""
    return await client.complete(call)


async def streamed(client: ModelClient, call: WireRequest) -> WireAnswer:
    """The answer as a stream, whose pieces are the text."""
    pieces: list[str] = []
    answer = await client.stream(call, pieces.append)
    assert "".join(pieces) == answer.text
    return answer


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


async def fault_of(client: ModelClient, call: WireRequest, ask: Ask = whole) -> tuple[Fault, int | None]:
    """The fault that this call meets, and its HTTP status."""
    error = await error_of(client, call, ask)
    return error.fault, error.status


async def error_of(client: ModelClient, call: WireRequest, ask: Ask) -> WireError:
    """The error that this call meets."""
    with pytest.raises(WireError) as caught:
        await ask(client, call)
    return caught.value


async def until(happens: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until that is so. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not happens():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class ClientSuite:
    """Subclasses give `connect`: a client for a base address and a key; and what is said in other words."""

    dialect: str
    quota_status: int

    @pytest.fixture
    def connect(self, http: httpx.AsyncBaseTransport) -> Connect:
        raise NotImplementedError

    @pytest.fixture
    def client(self, connect: Connect, provider: ProviderProcess) -> ModelClient:
        return connect(provider.base_url, None)

    @pytest.fixture(params=[whole, streamed], ids=lambda ask: ask.__name__)
    def ask(self, request: pytest.FixtureRequest) -> Ask:
        found: Ask = request.param
        return found

    async def test_an_answer_with_its_usage(self, client: ModelClient, ask: Ask, provider: ProviderProcess) -> None:
        provider.set_answers(
            {"good product": "positive, she said: \u201cgr\u00fc\u00df dich\u201d \U0001f600\n\n\u2028data: x"}
        )
        answer = await ask(client, wire("good product"))
        (call,) = provider.calls()
        assert answer.text == "positive, she said: \u201cgr\u00fc\u00df dich\u201d \U0001f600\n\n\u2028data: x"
        assert (answer.finish_reason, answer.status) == ("stop", 200)
        assert answer.usage is not None
        assert answer.usage.input == call["prompt_tokens"] > 0
        assert answer.usage.output == call["completion_tokens"] > 0
        assert 0 <= answer.usage.cached <= answer.usage.input
        assert (call["model"], call["dialect"], call["streamed"]) == ("mini-1", self.dialect, ask is streamed)

    async def test_the_schema_reaches_the_model(self, client: ModelClient, ask: Ask) -> None:
        for schema in (SCHEMA, OPEN_SCHEMA):
            for n in range(3):
                answer = await ask(client, wire(f"review {n}", schema=schema, schema_name="Sentiment[T]"))
                value = json.loads(answer.text)
                assert value["label"] in ("positive", "negative")
                assert 0 <= value["confidence"] <= 1
                assert answer.finish_reason == "stop"

    async def test_headers_for_trace_and_repetition(
        self, client: ModelClient, ask: Ask, provider: ProviderProcess
    ) -> None:
        await ask(client, wire())
        await ask(client, wire(idempotency_key="Schl\u00fcssel\n" * 100))
        first, second = provider.calls()
        assert (first["traceparent"], first["idempotency_key"]) == (TRACEPARENT, "job-1/classify")
        assert len(second["idempotency_key"]) == 64

    async def test_an_answer_cut_by_its_length_says_so(
        self, client: ModelClient, ask: Ask, provider: ProviderProcess
    ) -> None:
        provider.set_answers({"tell me": "word " * 200})
        answer = await ask(client, wire("tell me", max_output_tokens=5))
        assert answer.finish_reason == "length"
        assert answer.usage is not None
        assert answer.usage.output == 5
        assert len(answer.text) < 100

    async def test_refused_content_says_so(self, client: ModelClient, ask: Ask, provider: ProviderProcess) -> None:
        provider.set_faults(error_rates={"content_filter": 1})
        answer = await ask(client, wire())
        assert answer.finish_reason == "content_filter"
        assert answer.usage is not None

    async def test_an_answer_without_its_usage(self, client: ModelClient, ask: Ask, provider: ProviderProcess) -> None:
        provider.set_faults(error_rates={"no_usage": 1})
        answer = await ask(client, wire())
        assert answer.text
        assert answer.usage is None

    @pytest.mark.parametrize(
        ("kind", "fault_type", "code", "status"),
        [
            ("http_500", TransientError, "provider_unavailable", 500),
            ("http_503", TransientError, "provider_unavailable", 503),
            ("http_529", TransientError, "provider_unavailable", 529),
            ("timeout", TransientError, "provider_timeout", None),
            ("reset", TransientError, "provider_unavailable", None),
            ("rate_limited", RateLimited, "provider_rate_limited", 429),
            ("insufficient_quota", ProviderAuth, "provider_auth", 0),
            ("invalid_request", InputError, "provider_refused", 400),
            ("context_length_exceeded", InputError, "provider_refused", 400),
        ],
    )
    async def test_errors_by_class(
        self,
        client: ModelClient,
        ask: Ask,
        provider: ProviderProcess,
        kind: str,
        fault_type: type,
        code: str,
        status: int | None,
    ) -> None:
        provider.set_faults(error_rates={kind: 1})
        error = await error_of(client, wire("SECRET PROMPT", timeout_s=0.5 if kind == "timeout" else 10), ask)
        expected = self.quota_status if status == 0 else status
        assert (type(error.fault), error.fault.code, error.status) == (fault_type, code, expected)
        assert "SECRET" not in error.fault.detail
        assert error.usage is None
        assert len(provider.calls()) == 1
        if kind == "context_length_exceeded":
            assert kind in error.fault.detail

    async def test_a_body_that_is_cut_is_no_answer(
        self, client: ModelClient, ask: Ask, provider: ProviderProcess
    ) -> None:
        provider.set_faults(error_rates={"truncated_body": 1})
        fault, status = await fault_of(client, wire(), ask)
        assert (type(fault), fault.code) == (TransientError, "provider_unavailable")
        assert status == (200 if ask is streamed else None)

    @pytest.mark.parametrize("kind", ["endless", "wrong_shape"])
    async def test_a_body_without_end_or_of_no_known_shape_is_no_answer(
        self, client: ModelClient, ask: Ask, provider: ProviderProcess, kind: str
    ) -> None:
        provider.set_faults(error_rates={kind: 1})
        fault, status = await fault_of(client, wire(), ask)
        assert (type(fault), fault.code, status) == (TransientError, "provider_unavailable", 200)

    async def test_a_body_that_stalls_or_trickles_is_left_in_time(
        self, client: ModelClient, ask: Ask, provider: ProviderProcess
    ) -> None:
        for kind in ("stalled", "trickle"):
            provider.set_faults(error_rates={kind: 1})
            fault, _ = await fault_of(client, wire(timeout_s=0.3), ask)
            assert (type(fault), fault.code) == (TransientError, "provider_timeout")

    async def test_it_is_usable_after_each_fault(
        self, client: ModelClient, ask: Ask, provider: ProviderProcess
    ) -> None:
        for kind in ("reset", "truncated_body", "timeout", "http_500", "stalled"):
            provider.set_faults(error_rates={kind: 1})
            await fault_of(client, wire(timeout_s=0.1 if kind in ("timeout", "stalled") else 10), ask)
            provider.reset_faults()
            assert (await ask(client, wire())).finish_reason == "stop"

    async def test_the_provider_names_when_to_come_again(
        self, client: ModelClient, ask: Ask, provider: ProviderProcess
    ) -> None:
        for headers, expected in (("none", None), ("retry-after", 1.0), ("full", 1.0)):
            provider.set_faults(error_rates={"rate_limited": 1}, limit_headers=headers)
            fault, _ = await fault_of(client, wire(), ask)
            assert fault.retry_after_s == expected

    async def test_a_wrong_key_is_never_worth_a_wait(self, connect: Connect) -> None:
        with running_provider("--api-key", "right-key", "--model", "mini-1") as provider:
            right = connect(provider.base_url, "right-key")
            for ask in (whole, streamed):
                assert (await ask(right, wire())).finish_reason == "stop"
                fault, status = await fault_of(right, wire(model="no-such-model"), ask)
                assert (type(fault), fault.code, status) == (SystemFault, "provider_refused", 404)
                for wrong in ("wrong-key", None):
                    fault, status = await fault_of(connect(provider.base_url, wrong), wire(), ask)
                    assert (type(fault), status) == (ProviderAuth, 401)
                    assert "wrong-key" not in fault.detail

    async def test_nobody_listens(self, connect: Connect) -> None:
        with running_provider() as provider:
            client = connect(provider.base_url, None)
            await client.complete(wire())
            provider.kill()
            for ask in (whole, streamed):
                fault, status = await fault_of(client, wire(), ask)
                assert (type(fault), fault.code, status) == (TransientError, "provider_unavailable", None)

    async def test_a_provider_that_hangs_is_left_in_time(
        self, client: ModelClient, ask: Ask, provider: ProviderProcess
    ) -> None:
        provider.set_faults(down="hang")
        started = asyncio.get_running_loop().time()
        fault, _ = await fault_of(client, wire(timeout_s=0.3), ask)
        assert fault.code == "provider_timeout"
        assert asyncio.get_running_loop().time() - started < 2

    async def test_cancellation_hangs_up(self, client: ModelClient, ask: Ask, provider: ProviderProcess) -> None:
        provider.set_faults(latency="fixed(20000)", first_token=0)
        call = asyncio.ensure_future(ask(client, wire()))
        await until(lambda: provider.stats()["in_flight"] == 1)
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        await until(lambda: provider.stats()["in_flight"] == 0)

    async def test_lone_surrogates_do_not_break_it(self, client: ModelClient, ask: Ask) -> None:
        try:
            await ask(client, wire("half \ud83d a pair, and a NUL \x00"))
        except WireError as error:
            assert isinstance(error.fault, InputError)

    async def test_many_at_once(self, client: ModelClient, ask: Ask, provider: ProviderProcess) -> None:
        provider.set_faults(latency="fixed(200)")
        answers = await asyncio.gather(*(ask(client, wire(f"item {n}")) for n in range(100)))
        assert len({answer.text for answer in answers}) == 100
        assert provider.stats()["max_in_flight_seen"] == 100

    async def test_the_pieces_come_before_the_end(self, client: ModelClient, provider: ProviderProcess) -> None:
        provider.set_answers({"slow": "word " * 8})
        provider.set_faults(latency="fixed(400)", first_token=0.25)
        loop, came = asyncio.get_running_loop(), list[float]()
        started = loop.time()
        answer = await client.stream(wire("slow"), lambda text: came.append(loop.time() - started))
        assert answer.text == "word " * 8
        assert len(came) == 10
        assert came[0] < 0.3 < loop.time() - started
        assert came[-1] - came[0] > 0.1

    async def test_an_error_in_mid_stream_has_its_class(self, client: ModelClient, provider: ProviderProcess) -> None:
        provider.set_faults(error_rates={"error_event": 1})
        pieces: list[str] = []
        with pytest.raises(WireError) as caught:
            await client.stream(wire(), pieces.append)
        assert (type(caught.value.fault), caught.value.fault.code) == (TransientError, "provider_unavailable")
        assert caught.value.status == 200
        assert "overloaded_error" in caught.value.fault.detail
        assert len("".join(pieces)) == 4 * provider.calls()[0]["completion_tokens"] > 0

    async def test_a_stream_without_its_end_is_never_accepted(
        self, client: ModelClient, provider: ProviderProcess
    ) -> None:
        provider.set_faults(error_rates={"no_end": 1})
        error = await error_of(client, wire(), streamed)
        assert (type(error.fault), error.fault.code, error.status) == (TransientError, "provider_unavailable", 200)
        assert error.usage is not None
        (call,) = provider.calls()
        assert (error.usage.input, error.usage.output) == (call["prompt_tokens"], call["completion_tokens"])

    async def test_a_stream_that_falls_silent_is_left_early(
        self, client: ModelClient, provider: ProviderProcess
    ) -> None:
        provider.set_faults(error_rates={"stalled": 1})
        started = asyncio.get_running_loop().time()
        error = await error_of(client, wire(idle_timeout_s=0.2), streamed)
        assert (error.fault.code, error.status) == ("provider_timeout", 200)
        assert "0.2 s" in error.fault.detail
        assert 0.15 < asyncio.get_running_loop().time() - started < 2
        # A long wait for the first token is no silence.
        provider.set_faults(latency="fixed(500)", first_token=1)
        assert (await streamed(client, wire(idle_timeout_s=0.2))).finish_reason == "stop"

    async def test_the_text_of_a_stream_is_bounded(self, client: ModelClient, provider: ProviderProcess) -> None:
        provider.set_answers({"long": "word " * 1000})
        assert len((await streamed(client, wire("long", max_answer_bytes=5000))).text) == 5000
        fault, status = await fault_of(client, wire("long", max_answer_bytes=4999), streamed)
        assert (type(fault), fault.code, status) == (TransientError, "provider_unavailable", 200)
        assert "larger than 4999 bytes" in fault.detail
