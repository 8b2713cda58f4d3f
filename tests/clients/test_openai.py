"""The OpenAI client: the conformance suite, and what is its own."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from app.clients.base import ModelClient, WireAnswer
from app.clients.openai import OpenAIClient, fits_strict
from app.settings import ProviderSettings
from tests.clients.raw_server import answering, body_of, http_answer
from tests.conformance.client_suite import SCHEMA, ClientSuite, Connect, fault_of, wire


def _client(http: httpx.AsyncBaseTransport, base_url: str, key: str | None = None) -> OpenAIClient:
    settings = ProviderSettings(dialect="openai", base_url=base_url)
    return OpenAIClient("main", settings.model_copy(update={"api_key": SecretStr(key) if key else None}), http)


class TestOpenAI(ClientSuite):
    dialect = "openai"
    quota_status = 429

    @pytest.fixture
    def connect(self, http: httpx.AsyncBaseTransport) -> Connect:
        def connect(base_url: str, key: str | None) -> ModelClient:
            return _client(http, base_url, key)

        return connect


def _completion(**changes: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    return orjson.dumps({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 1}, **changes})


async def _read(http: httpx.AsyncBaseTransport, body: bytes) -> WireAnswer:
    async with answering(http_answer(body)) as server:
        return await _client(http, server.base_url).complete(wire())


async def test_the_request_on_the_wire(http: httpx.AsyncBaseTransport) -> None:
    async with answering(http_answer(_completion())) as server:
        call = wire("hello", schema=SCHEMA, schema_name="Sentiment[T]", max_output_tokens=7)
        await _client(http, server.base_url, "the-key").complete(call)
    head, sent = server.requests[0].split(b"\r\n\r\n", 1)
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1")
    assert b"\r\nauthorization: Bearer the-key\r\n" in head.replace(b"Authorization", b"authorization")
    assert orjson.loads(sent) == {
        "model": "mini-1",
        "messages": [{"role": "system", "content": "Answer in one word."}, {"role": "user", "content": "hello"}],
        "max_tokens": 7,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "Sentiment_T_", "schema": SCHEMA, "strict": True},
        },
    }


async def test_no_key_sends_no_header_and_no_schema_no_format(http: httpx.AsyncBaseTransport) -> None:
    async with answering(http_answer(_completion())) as server:
        await _client(http, server.base_url).complete(wire())
    assert b"uthorization" not in server.requests[0]
    assert set(body_of(server.requests[0])) == {"model", "messages"}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SCHEMA, True),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, False),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"anyOf": [SCHEMA, {"type": "object"}]}, False),
        ({"type": "array", "items": SCHEMA}, True),
    ],
)
def test_strict_only_where_the_schema_allows_it(schema: dict[str, Any], strict: bool) -> None:
    assert fits_strict(schema) is strict


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": {"0": 1}}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": "hi", "finish_reason": "stop"}]}',
        b'{"choices": [{"message": {"content": {"a": 1}}, "finish_reason": "stop"}]}',
        b'{"choices": [{"message": {"content": "hi"}}]}',
        b'{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"',
        b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"<html>we are back soon</html>",
        b"\xff\xfe\x00",
    ],
)
async def test_a_200_that_is_not_the_protocol(http: httpx.AsyncBaseTransport, body: bytes) -> None:
    async with answering(http_answer(body)) as server:
        fault, status = await fault_of(_client(http, server.base_url), wire())
    assert (fault.code, fault.error_class, status) == ("provider_unavailable", "transient", 200)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {},
        {"prompt_tokens": -1, "completion_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": 1},
        {"prompt_tokens": "3", "completion_tokens": 1},
        {"prompt_tokens": 3.5, "completion_tokens": 1},
        {"prompt_tokens": 1 << 40, "completion_tokens": 1},
    ],
)
async def test_a_usage_that_makes_no_sense_is_none(http: httpx.AsyncBaseTransport, usage: Any) -> None:
    assert (await _read(http, _completion(usage=usage))).usage is None


async def test_cached_tokens_are_never_more_than_the_input(http: httpx.AsyncBaseTransport) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}}
    answer = await _read(http, _completion(usage=usage))
    assert answer.usage is not None
    assert answer.usage.cached == 3


async def test_a_refusal_and_an_empty_answer(http: httpx.AsyncBaseTransport) -> None:
    refused = {"message": {"content": None, "refusal": "I can't help with that."}, "finish_reason": "stop"}
    spent = {"message": {"content": None}, "finish_reason": "length"}
    answer = await _read(http, _completion(choices=[refused]))
    assert (answer.text, answer.finish_reason) == ("", "content_filter")
    answer = await _read(http, _completion(choices=[spent]))
    assert (answer.text, answer.finish_reason) == ("", "length")


async def test_openai_itself_takes_the_newer_limit(http: httpx.AsyncBaseTransport) -> None:
    own = _client(http, "https://api.openai.com/v1")
    assert own._body(wire(max_output_tokens=7))["max_completion_tokens"] == 7
