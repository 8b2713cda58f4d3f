"""The Anthropic dialect over HTTP: shapes of answers and errors, what is refused, structured output, limits."""

from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest

from tests.loadtest.provider_process import ProviderProcess, content_of, messages_body, running_provider
from tests.loadtest.told import ANTHROPIC

_SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["good", "bad"]},
        "score": {"type": "number", "description": 'How good.\n\n{"minimum": 3, "maximum": 4}'},
        "stars": {"type": "integer", "description": "{minimum: 7, maximum: 9}"},
    },
    "required": ["label", "score", "stars"],
    "additionalProperties": False,
}
_TOOL = {"name": "answer", "input_schema": {"type": "object", "properties": {"n": {"const": 3}}, "required": ["n"]}}


def _error(response: httpx.Response) -> dict[str, Any]:
    body = response.json()
    assert (set(body), body["type"]) == ({"type", "error"}, "error")
    assert set(body["error"]) == {"type", "message"}
    error: dict[str, Any] = body["error"]
    return error


def test_an_answer_has_the_messages_shape(provider: ProviderProcess) -> None:
    message = provider.messages("x" * 41, system="y" * 8).json()
    assert message["id"].startswith("msg_")
    assert (message["type"], message["role"], message["model"]) == ("message", "assistant", "mini-1")
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)
    (block,) = message["content"]
    assert block["type"] == "text"
    assert message["usage"] == {
        "input_tokens": 13,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": -(-len(block["text"]) // 4),
    }
    (call,) = provider.calls()
    assert (call["dialect"], call["streamed"], call["complete"]) == ("anthropic", False, True)
    assert (call["prompt_tokens"], call["completion_tokens"]) == (13, message["usage"]["output_tokens"])


def test_both_dialects_give_one_truth(provider: ProviderProcess) -> None:
    provider.set_answers({"b": {"label": "x"}})
    for item in ("a", "b"):
        said = provider.messages(f"Rate <item>{item}</item>").json()["content"][0]["text"]
        assert said == content_of(provider.chat(f"<item>{item}</item>!"))


def test_a_long_prompt_is_cached_where_that_is_asked_for(provider: ProviderProcess) -> None:
    def used(**fields: Any) -> list[int]:
        usage = provider.messages("long " * 1000, **fields).json()["usage"]
        return [usage[f"{name}_input_tokens"] for name in ("cache_creation", "cache_read")] + [usage["input_tokens"]]

    assert [used(), used()] == [[0, 0, 1250]] * 2
    asked: dict[str, Any] = {"cache_control": {"type": "ephemeral"}, "temperature": 1}
    assert [used(**asked), used(**asked)] == [[1152, 0, 98], [0, 1152, 98]]


def test_structured_output_and_the_constraints_in_its_descriptions(provider: ProviderProcess) -> None:
    for n in range(5):
        message = provider.messages(f"rate {n}", schema=_SCHEMA).json()
        answer = orjson.loads(message["content"][0]["text"])
        assert answer["label"] in ("good", "bad")
        assert 3 <= answer["score"] <= 4
        assert 7 <= answer["stars"] <= 9


def test_a_forced_tool_is_used(provider: ProviderProcess) -> None:
    for choice in ({"type": "tool", "name": "answer"}, {"type": "any"}):
        message = provider.messages("rate this", tools=[_TOOL], tool_choice=choice).json()
        (block,) = message["content"]
        assert (block["type"], block["name"], block["input"]) == ("tool_use", "answer", {"n": 3})
        assert message["stop_reason"] == "tool_use"
    told = ANTHROPIC.stream(provider, "rate this", tools=[_TOOL], tool_choice={"type": "any"})
    assert (orjson.loads(told.text), told.finish) == ({"n": 3}, "tool_use")
    assert provider.messages("rate this", tools=[_TOOL]).json()["content"][0]["type"] == "text"


def test_the_input_of_a_tool_is_always_an_object(provider: ProviderProcess) -> None:
    fields: dict[str, Any] = {"tools": [_TOOL], "tool_choice": {"type": "any"}}
    provider.set_answers({"text": "no json", "list": [[1]]})
    assert provider.messages("text", **fields).json()["content"][0]["input"] == {"value": "no json"}
    assert provider.messages("list", **fields).json()["content"][0]["input"] == {"value": [1]}
    cut = provider.messages("other", **fields, max_tokens=1).json()
    assert (cut["content"][0]["input"], cut["stop_reason"]) == ({}, "max_tokens")


def test_a_refusal_has_no_content(provider: ProviderProcess) -> None:
    provider.set_faults(error_rates={"content_filter": 1})
    message = provider.messages("hello").json()
    assert (message["content"], message["stop_reason"]) == ([], "refusal")
    told = ANTHROPIC.stream(provider, "hello")
    assert (told.text, told.finish, told.ended) == ("", "refusal", True)


@pytest.mark.parametrize(
    ("kind", "status", "type_", "words"),
    [
        ("http_500", 500, "api_error", ""),
        ("http_503", 503, "api_error", ""),
        ("http_529", 529, "overloaded_error", ""),
        ("rate_limited", 429, "rate_limit_error", ""),
        ("insufficient_quota", 400, "invalid_request_error", "credit balance is too low"),
        ("invalid_request", 400, "invalid_request_error", ""),
        ("context_length_exceeded", 400, "invalid_request_error", "prompt is too long"),
    ],
)
def test_refusals_in_its_own_words(provider: ProviderProcess, kind: str, status: int, type_: str, words: str) -> None:
    provider.set_faults(error_rates={kind: 1})
    response = provider.messages("hello")
    error = _error(response)
    assert (response.status_code, error["type"]) == (status, type_)
    assert words in error["message"]
    assert provider.stats()["by_outcome"] == {kind: 1}
    assert provider.stats()["by_status"] == {str(status): 1}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages.0.content"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stream": "perhaps"}, "stream"),
        ({"output_config": {"format": {"type": "yaml"}}}, "output_config.format.type"),
        ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "tools.0.name"),
        ({"tools": [{"name": "a", "input_schema": {"type": "array"}}]}, "tools.0.input_schema.type"),
        ({"tools": [_TOOL], "tool_choice": {"type": "tool", "name": "other"}}, "tool_choice.name"),
    ],
)
def test_a_bad_request_names_its_part(provider: ProviderProcess, change: dict[str, Any], named: str) -> None:
    body = messages_body("hello") | change
    response = provider.http.post("/v1/messages", json=body, headers={"anthropic-version": "2023-06-01"})
    assert response.status_code == 400
    error = _error(response)
    assert error["type"] == "invalid_request_error"
    assert named in error["message"]
    assert provider.stats()["by_outcome"] == {"bad_request": 1}


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "object", "properties": {}}, "additionalProperties"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "additionalProperties"),
        ({"type": "integer", "minimum": 3}, "minimum"),
        ({"type": "string", "pattern": "a"}, "pattern"),
        ({"type": "string", "format": "phone"}, "phone"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, "minItems"),
        ({"type": ["string", "null"]}, "type"),
        ({"description": "anything"}, "needs a type"),
        ({"enum": [{"a": 1}]}, "enum"),
        ({"anyOf": [{"type": "string"}, {"type": "integer", "maximum": 3}]}, "anyOf.1"),
        ({"$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}, "contains itself"),
        ({"type": "object", "properties": []}, "schema"),
    ],
)
def test_a_schema_outside_what_structured_output_takes(
    provider: ProviderProcess, schema: dict[str, Any], named: str
) -> None:
    response = provider.messages("hello", schema=schema)
    assert response.status_code == 400
    assert named in _error(response)["message"]


def test_the_version_is_required(provider: ProviderProcess) -> None:
    response = provider.http.post("/v1/messages", json=messages_body("hello"))
    assert response.status_code == 400
    assert "anthropic-version" in _error(response)["message"]


def test_key_models_and_addresses() -> None:
    with running_provider("--api-key", "sim-key", "--models", "one") as guarded:
        for headers in ({}, {"x-api-key": "other"}, {"x-api-key": "", "Authorization": "Bearer sim-key"}):
            refused = guarded.messages("hello", model="one", headers=headers)
            assert (refused.status_code, _error(refused)["type"]) == (401, "authentication_error")
        for key in ({"x-api-key": "sim-key"}, {"Authorization": "Bearer sim-key"}):
            assert guarded.messages("hello", model="one", headers=key).status_code == 200
            unknown = guarded.messages("hello", model="four", headers=key)
            assert (unknown.status_code, _error(unknown)["type"]) == (404, "not_found_error")
        lost = guarded.http.post("/v1/messages/batches", json={})
        assert (lost.status_code, _error(lost)["type"]) == (404, "not_found_error")


def test_one_limit_for_both_dialects_announced_in_its_own_headers(provider: ProviderProcess) -> None:
    provider.set_faults(rpm=6, tpm=600_000, burst_s=20, limit_headers="full")
    first, second, refused = provider.messages("a"), provider.chat("b"), provider.messages("c")
    assert [response.status_code for response in (first, second, refused)] == [200, 200, 429]
    assert first.headers["anthropic-ratelimit-requests-limit"] == "6"
    assert first.headers["anthropic-ratelimit-requests-remaining"] == "1"
    assert "anthropic-ratelimit-tokens-remaining" in first.headers
    reset = datetime.fromisoformat(refused.headers["anthropic-ratelimit-requests-reset"])
    assert 0 <= (reset - datetime.now(UTC)).total_seconds() <= 21
    assert 8 <= int(refused.headers["retry-after"]) <= 10
    assert _error(refused)["type"] == "rate_limit_error"
    assert not [name for name in first.headers if name.startswith("x-ratelimit")]
    provider.set_faults(rpm=6, burst_s=10, limit_headers="none")
    assert "retry-after" not in provider.messages("d").headers
