"""The OpenAI dialect over HTTP: shapes of answers and errors, what is refused, keys and models."""

import time
from typing import Any

import httpx
import pytest

from tests.loadtest.provider_process import ProviderProcess, answer_of, chat_body, content_of, running_provider

_SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["good", "bad"]}, "score": {"type": "number", "minimum": 0, "maximum": 1}},
    "required": ["label", "score"],
    "additionalProperties": False,
}


def _error(response: httpx.Response) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    error: dict[str, Any] = body["error"]
    return error


def test_an_answer_has_the_openai_shape(provider: ProviderProcess) -> None:
    body = provider.chat("x" * 41).json()
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("chatcmpl-")
    assert abs(body["created"] - time.time()) < 5
    assert body["model"] == "mini-1"
    (choice,) = body["choices"]
    assert (choice["index"], choice["finish_reason"], choice["message"]["role"]) == (0, "stop", "assistant")
    usage = body["usage"]
    assert usage["prompt_tokens"] == 11
    assert usage["completion_tokens"] == -(-len(choice["message"]["content"]) // 4)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0}


def test_a_repeated_long_prompt_is_cached(provider: ProviderProcess) -> None:
    used = [provider.chat("long " * 1000).json()["usage"]["prompt_tokens_details"]["cached_tokens"] for _ in range(2)]
    assert used == [0, 1250 // 128 * 128]


def test_a_schema_is_answered_with_a_value_that_fits(provider: ProviderProcess) -> None:
    answer = answer_of(provider.chat("rate this", schema=_SCHEMA))
    assert set(answer) == {"label", "score"}
    assert answer["label"] in ("good", "bad")
    assert 0 <= answer["score"] <= 1


def test_json_object_is_answered_with_an_object(provider: ProviderProcess) -> None:
    assert isinstance(answer_of(provider.chat("rate this", response_format={"type": "json_object"})), dict)


def _fields(name: str) -> dict[str, Any]:
    return {name: 3}


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_max_tokens_cuts_the_answer(provider: ProviderProcess, limit: str) -> None:
    whole = content_of(provider.chat("tell me"))
    body = provider.chat("tell me", **_fields(limit)).json()
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["choices"][0]["message"]["content"] == whole[:12]
    assert body["usage"]["completion_tokens"] == 3


def test_content_parts_are_read_as_text(provider: ProviderProcess) -> None:
    parts = [{"type": "text", "text": "<item>a</item>"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    body = {"model": "mini-1", "messages": [{"role": "user", "content": parts}]}
    assert provider.http.post("/v1/chat/completions", json=body).status_code == 200
    assert provider.calls()[-1]["item"] == "a"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"content": "no role"}]}, "messages.0.role"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"n": 2}, "n"),
        ({"stream": "perhaps"}, "stream"),
        ({"stream_options": {"include_usage": 3}}, "stream_options.include_usage"),
        ({"response_format": {"type": "yaml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.json_schema"),
    ],
)
def test_a_bad_request_names_its_part(provider: ProviderProcess, change: dict[str, Any], param: str) -> None:
    response = provider.http.post("/v1/chat/completions", json=chat_body("hello") | change)
    error = _error(response)
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert provider.stats()["by_outcome"] == {"bad_request": 1}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1]", b'"\\ud800"', b"\xff", b"[" * 100_000 + b"]" * 100_000, b'{"model":"m","messages":"\\ud800"}'],
)
def test_a_body_that_is_no_request_is_refused(provider: ProviderProcess, body: bytes) -> None:
    response = provider.http.post("/v1/chat/completions", content=body)
    assert response.status_code == 400
    assert _error(response)["type"] == "invalid_request_error"


def test_a_schema_without_a_value_is_refused(provider: ProviderProcess) -> None:
    response = provider.chat("hello", schema={"type": "integer", "minimum": 3, "maximum": 2})
    assert response.status_code == 400
    assert _error(response)["code"] == "invalid_json_schema"


def test_nul_bytes_travel(provider: ProviderProcess) -> None:
    provider.set_answers({"a\0b": "c\0d"})
    assert content_of(provider.chat("<item>a\0b</item>")) == "c\0d"


def test_an_unknown_address_is_404(provider: ProviderProcess) -> None:
    for response in (provider.http.get("/v1/chat/completions"), provider.http.post("/v1/audio/speech", json={})):
        assert response.status_code == 404
        assert _error(response)["code"] == "unknown_url"


def test_any_model_is_served_unless_restricted(provider: ProviderProcess) -> None:
    assert provider.chat("hello", model="anything").status_code == 200


def test_key_and_models_are_checked() -> None:
    with running_provider("--api-key", "sim-key", "--models", "one,two", "--model", "three") as guarded:
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic sim-key"}):
            refused = guarded.chat("hello", model="one", headers=headers)
            assert (refused.status_code, _error(refused)["code"]) == (401, "invalid_api_key")
        key = {"Authorization": "Bearer sim-key"}
        assert guarded.chat("hello", model="three", headers=key).status_code == 200
        unknown = guarded.chat("hello", model="four", headers=key)
        assert (unknown.status_code, _error(unknown)["code"]) == (404, "model_not_found")
        assert guarded.http.get("/v1/models").status_code == 401
        listed = guarded.http.get("/v1/models", headers=key).json()
        assert [model["id"] for model in listed["data"]] == ["one", "two", "three"]
        assert guarded.stats()["by_outcome"] == {"invalid_api_key": 3, "ok": 1, "model_not_found": 1}
