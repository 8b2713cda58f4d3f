"""The Anthropic client: the conformance suite, and what is its own."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from app.clients.anthropic import AnthropicClient
from app.clients.base import ModelClient, TokenUsage, WireAnswer
from app.domain.errors import Fault, InputError, ProviderAuth, RateLimited, SystemFault, TransientError
from app.settings import ProviderSettings
from tests.clients.raw_server import answering, body_of, http_answer
from tests.conformance.client_suite import OPEN_SCHEMA, SCHEMA, ClientSuite, Connect, error_of, fault_of, streamed, wire


def _client(http: httpx.AsyncBaseTransport, base_url: str, key: str | None = None) -> AnthropicClient:
    settings = ProviderSettings(dialect="anthropic", base_url=base_url)
    return AnthropicClient("main", settings.model_copy(update={"api_key": SecretStr(key) if key else None}), http)


class TestAnthropic(ClientSuite):
    dialect = "anthropic"
    quota_status = 400

    @pytest.fixture
    def connect(self, http: httpx.AsyncBaseTransport) -> Connect:
        def connect(base_url: str, key: str | None) -> ModelClient:
            return _client(http, base_url, key)

        return connect


def _message(**changes: Any) -> dict[str, Any]:
    return {
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 1},
        **changes,
    }


async def _read(http: httpx.AsyncBaseTransport, **changes: Any) -> WireAnswer:
    async with answering(http_answer(orjson.dumps(_message(**changes)))) as server:
        return await _client(http, server.base_url).complete(wire())


def _events(*events: dict[str, Any]) -> bytes:
    body = b"".join(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in events)
    return http_answer(body, Content_Type="text/event-stream")


_START = {"type": "message_start", "message": {"usage": {"input_tokens": 30, "output_tokens": 1}}}
_END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
_STOP = {"type": "message_stop"}


def _delta(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


async def test_the_request_on_the_wire(http: httpx.AsyncBaseTransport) -> None:
    async with answering(http_answer(orjson.dumps(_message()))) as server:
        messages = (("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("system", "Now."), ("user", "c"))
        await _client(http, server.base_url, "the-key").complete(wire(messages=messages, max_output_tokens=7))
        await _client(http, server.base_url.removesuffix("/v1")).complete(wire(messages=(("user", "a"),)))
    (head, sent), (other, bare) = (request.split(b"\r\n\r\n", 1) for request in server.requests)
    assert head.startswith(b"POST /v1/messages HTTP/1.1")
    assert b"\r\nx-api-key: the-key\r\n" in head.lower()
    assert b"\r\nanthropic-version: 2023-06-01\r\n" in head.lower()
    assert orjson.loads(sent) == {
        "model": "mini-1",
        "max_tokens": 7,
        "system": "Be brief.\n\nNow.",
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ],
    }
    assert other.startswith(b"POST /v1/messages HTTP/1.1")
    assert b"x-api-key" not in other.lower()
    assert orjson.loads(bare) == {"model": "mini-1", "max_tokens": 8192, "messages": [{"role": "user", "content": "a"}]}


async def test_the_form_on_the_wire(http: httpx.AsyncBaseTransport) -> None:
    async with answering(http_answer(orjson.dumps(_message()))) as server:
        client = _client(http, server.base_url)
        await client.complete(wire(schema=SCHEMA, schema_name="Sentiment[T]"))
        await client.complete(wire(schema=OPEN_SCHEMA, schema_name="Sentiment[T]"))
    fitted, forced = map(body_of, server.requests)
    assert fitted["output_config"]["format"]["schema"]["properties"]["confidence"] == {
        "type": "number",
        "description": '{"maximum":1,"minimum":0}',
    }
    assert "tools" not in fitted
    (tool,) = forced["tools"]
    assert (tool["name"], tool["input_schema"]) == ("Sentiment_T_", OPEN_SCHEMA)
    assert forced["tool_choice"] == {"type": "tool", "name": "Sentiment_T_", "disable_parallel_tool_use": True}
    assert "output_config" not in forced


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
    ],
)
async def test_stop_reasons(http: httpx.AsyncBaseTransport, reason: str, ours: str) -> None:
    assert (await _read(http, stop_reason=reason)).finish_reason == ours
    end = {**_END, "delta": {"stop_reason": reason}}
    async with answering(_events(_START, _delta("hi"), end, _STOP)) as server:
        assert (await streamed(_client(http, server.base_url), wire())).finish_reason == ours


async def test_usage_counts_the_cache_as_input(http: httpx.AsyncBaseTransport) -> None:
    counts = {"input_tokens": 3, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 7, "output_tokens": 9}
    assert (await _read(http, usage=counts)).usage == TokenUsage(60, 9, 50, 7)
    start = {"type": "message_start", "message": {"usage": {**counts, "output_tokens": 1}}}
    async with answering(_events(start, _delta("hi"), {**_END, "usage": {"output_tokens": 9}}, _STOP)) as server:
        assert (await streamed(_client(http, server.base_url), wire())).usage == TokenUsage(60, 9, 50, 7)
    # Some servers say zero at the start and the truth at the end.
    zeros = {"type": "message_start", "message": {"usage": {"input_tokens": 0, "output_tokens": 0}}}
    async with answering(_events(zeros, {**_END, "usage": counts}, _STOP)) as server:
        assert (await streamed(_client(http, server.base_url), wire())).usage == TokenUsage(60, 9, 50, 7)


async def test_the_count_at_the_start_of_a_stream_is_not_its_usage(http: httpx.AsyncBaseTransport) -> None:
    async with answering(_events(_START, _delta("hi"), {**_END, "usage": None}, _STOP)) as server:
        assert (await streamed(_client(http, server.base_url), wire())).usage is None


@pytest.mark.parametrize("usage", [None, [], {}, {"input_tokens": -1, "output_tokens": 1}, {"input_tokens": 3}])
async def test_a_usage_that_makes_no_sense_is_none(http: httpx.AsyncBaseTransport, usage: Any) -> None:
    assert (await _read(http, usage=usage)).usage is None


async def test_other_blocks_are_no_text(http: httpx.AsyncBaseTransport) -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    answer = await _read(http, content=[thought, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
    assert answer.text == "ab"
    deltas = [{"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}}, _delta("a")]
    async with answering(_events(_START, *deltas, {"type": "news"}, _delta("b"), _END, _STOP)) as server:
        assert (await streamed(_client(http, server.base_url), wire())).text == "ab"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b'{"content": "hi", "stop_reason": "end_turn"}',
        b'{"content": ["hi"], "stop_reason": "end_turn"}',
        b'{"content": [{"type": "text", "text": 3}], "stop_reason": "end_turn"}',
        b'{"content": []}',
        b"<html>we are back soon</html>",
    ],
)
async def test_a_200_that_is_not_the_protocol(http: httpx.AsyncBaseTransport, body: bytes) -> None:
    async with answering(http_answer(body)) as server:
        fault, status = await fault_of(_client(http, server.base_url), wire())
    assert (fault.code, fault.error_class, status) == ("provider_unavailable", "transient", 200)


@pytest.mark.parametrize(
    "events",
    [
        (),
        (_STOP,),
        (_START, _delta("hi"), _STOP),
        (_START, _delta("hi"), _END),
        (_START, {**_delta("hi"), "delta": "hi"}, _END, _STOP),
        (_START, {**_delta("hi"), "delta": {"type": "text_delta", "text": 3}}, _END, _STOP),
        ({"type": "message_start", "message": []}, _END, _STOP),
    ],
)
async def test_a_stream_that_is_not_the_protocol(
    http: httpx.AsyncBaseTransport, events: tuple[dict[str, Any], ...]
) -> None:
    async with answering(_events(*events)) as server:
        fault, status = await fault_of(_client(http, server.base_url), wire(), streamed)
    assert (type(fault), fault.code, status) == (TransientError, "provider_unavailable", 200)


@pytest.mark.parametrize(
    ("status", "error", "fault_type", "word"),
    [
        (400, {"type": "invalid_request_error", "message": "messages: empty"}, InputError, "invalid_request_error"),
        (
            400,
            {"type": "invalid_request_error", "message": "Your credit balance is too low to access the Anthropic API."},
            ProviderAuth,
            "credit_balance_too_low",
        ),
        (
            400,
            {"type": "invalid_request_error", "message": "You have reached your specified API usage limits."},
            ProviderAuth,
            "enforced_spend_limit_reached",
        ),
        # Only the provider's own beginning counts, not what it repeats of a prompt.
        (
            400,
            {"type": "invalid_request_error", "message": "not valid: 'Your credit balance is too low'"},
            InputError,
            "invalid_request_error",
        ),
        (400, {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}, InputError, "context_length"),
        (401, {"type": "authentication_error", "message": "invalid x-api-key"}, ProviderAuth, "authentication_error"),
        (402, {"type": "billing_error", "message": "pay"}, ProviderAuth, "billing_error"),
        (403, {"type": "permission_error", "message": "no"}, ProviderAuth, "permission_error"),
        (404, {"type": "not_found_error", "message": "model: x"}, SystemFault, "not_found_error"),
        (413, {"type": "request_too_large", "message": "x"}, InputError, "request_too_large"),
        (429, {"type": "rate_limit_error", "message": "x"}, RateLimited, "rate_limit_error"),
        (
            429,
            {"type": "rate_limit_error", "message": "x", "details": {"error_code": "contract_spend_limit_reached"}},
            ProviderAuth,
            "contract_spend_limit_reached",
        ),
        (
            429,
            {"type": "rate_limit_error", "message": "x", "details": {"error_code": "ramp_limit_exceeded"}},
            RateLimited,
            "ramp_limit_exceeded",
        ),
        (500, {"type": "api_error", "message": "x"}, TransientError, "api_error"),
        (504, {"type": "timeout_error", "message": "x"}, TransientError, "timeout_error"),
        (529, {"type": "overloaded_error", "message": "x"}, TransientError, "overloaded_error"),
    ],
)
async def test_errors_with_a_status_and_in_mid_stream(
    http: httpx.AsyncBaseTransport, status: int, error: dict[str, Any], fault_type: type[Fault], word: str
) -> None:
    body = {"type": "error", "error": error}
    async with answering(http_answer(orjson.dumps(body), f"{status} Bad")) as server:
        fault, got = await fault_of(_client(http, server.base_url), wire())
    assert (type(fault), got) == (fault_type, status)
    assert word in fault.detail
    async with answering(_events(_START, _delta("half"), body)) as server:
        broken = await error_of(_client(http, server.base_url), wire(), streamed)
    assert (type(broken.fault), broken.fault.code, broken.status) == (fault_type, fault.code, 200)
    assert word in broken.fault.detail
    assert broken.usage == TokenUsage(30, 1)


async def test_an_overload_names_no_wait_and_a_limit_may(http: httpx.AsyncBaseTransport) -> None:
    error = orjson.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": "x"}})
    reset = {
        "anthropic_ratelimit_requests_remaining": "0",
        "anthropic_ratelimit_requests_reset": "2999-01-01T00:00:00Z",
    }
    async with answering(http_answer(error, "429 Too Many", **reset)) as server:
        fault, _ = await fault_of(_client(http, server.base_url), wire())
    assert fault.retry_after_s is not None
    assert fault.retry_after_s > 1e9
    async with answering(http_answer(error, "429 Too Many", retry_after="7", **reset)) as server:
        fault, _ = await fault_of(_client(http, server.base_url), wire())
    assert fault.retry_after_s == 7
