"""Streams in both dialects: the same answer as without one, at its pace, and every way in which one breaks."""

import time
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.loadtest.provider_process import ProviderProcess
from tests.loadtest.told import ANTHROPIC, OPENAI, Speech

_SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["good", "bad"]}},
    "required": ["label"],
    "additionalProperties": False,
}
_STOPS = {"stop": "end_turn", "length": "max_tokens"}


@pytest.fixture(params=[OPENAI, ANTHROPIC], ids=lambda speech: speech.name)
def speech(request: pytest.FixtureRequest) -> Speech:
    found: Speech = request.param
    return found


def test_a_stream_tells_the_answer_that_a_call_without_it_gets(provider: ProviderProcess, speech: Speech) -> None:
    provider.set_answers({"a": "half a \U0001f600 and a line\n\ndata: [DONE]\n", "b": ""})
    asked: list[tuple[str, dict[str, Any]]] = [
        ("a", {}),
        ("b", {}),
        ("other", {}),
        ("judge", {"schema": _SCHEMA}),
        ("a", {"max_tokens": 2}),
    ]
    for content, fields in asked:
        whole = provider.chat(content, **fields).json()["choices"][0]
        told = speech.stream(provider, content, **fields)
        assert told.text == whole["message"]["content"]
        assert told.pieces == -(-len(told.text) // 4)
        assert (told.ended, told.error) == (True, None)
        assert told.finish == (_STOPS[whole["finish_reason"]] if speech is ANTHROPIC else whole["finish_reason"])
        assert told.usage is not None
        assert told.usage.get("output_tokens", told.usage.get("completion_tokens")) == told.pieces
    call = provider.calls()[-1]
    assert (call["dialect"], call["streamed"], call["complete"]) == (speech.name, True, True)
    assert (call["outcome"], call["status"], call["completion_tokens"]) == ("length", 200, 2)


def test_openai_chunks(provider: ProviderProcess) -> None:
    told = OPENAI.stream(provider, "hello")
    *chunks, end = [data for _, data in told.events]
    assert end == "[DONE]"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"] == []
    assert chunks[-2]["choices"][0]["delta"] == {}
    unasked = OPENAI.stream(provider, "hello", stream_options=None)
    assert unasked.text == told.text
    assert not any("usage" in data for _, data in unasked.events[:-1])


def test_anthropic_events(provider: ProviderProcess) -> None:
    told = ANTHROPIC.stream(provider, "x" * 41)
    assert all(name == data["type"] for name, data in told.events)
    names = list(dict.fromkeys(data["type"] for _, data in told.events))
    assert names == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    message = told.events[0][1]["message"]
    assert (message["content"], message["stop_reason"]) == ([], None)
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (11, 1)


def test_the_latency_is_shared_between_the_first_token_and_the_rest(provider: ProviderProcess, speech: Speech) -> None:
    provider.set_answers({"slow": "word " * 8})
    provider.set_faults(latency="fixed(500)", first_token=0.4)
    body, arrivals, start = speech.body("slow", stream=True), list[float](), time.monotonic()
    with provider.http.stream("POST", speech.path, json=body, headers=speech.headers) as response:
        for line in response.iter_lines():
            if "delta" in line and "data" in line:
                arrivals.append(time.monotonic() - start)
    assert 0.19 < arrivals[0] < 0.4
    assert 0.45 < time.monotonic() - start < 1.0
    # 10 tokens in 0.3 s: they come one by one, not in a heap at the end.
    assert max(later - earlier for earlier, later in pairwise(arrivals)) < 0.2
    assert sum(later - earlier > 0.01 for earlier, later in pairwise(arrivals)) > 5


@pytest.mark.parametrize(
    ("kind", "broken"),
    [("truncated_body", httpx.RemoteProtocolError), ("stalled", httpx.ReadTimeout), ("error_event", None)],
)
def test_a_stream_that_breaks_in_its_middle(
    provider: ProviderProcess, speech: Speech, kind: str, broken: type[Exception] | None
) -> None:
    whole = speech.stream(provider, "hello")
    provider.set_faults(error_rates={kind: 1})
    told = speech.stream(provider, "hello", timeout_s=0.3 if kind == "stalled" else 10)
    assert 0 < len(told.text) < len(whole.text)
    assert whole.text.startswith(told.text)
    assert (told.ended, told.finish, type(told.broken)) == (False, None, broken or type(None))
    if kind == "error_event":
        assert told.error is not None
        assert told.error["type"] == ("overloaded_error" if speech is ANTHROPIC else "server_error")
    _log_says(provider, kind, told.pieces, complete=False)


@pytest.mark.parametrize("kind", ["no_end", "no_usage"])
def test_a_stream_that_lacks_its_end_or_its_usage(provider: ProviderProcess, speech: Speech, kind: str) -> None:
    whole = speech.stream(provider, "hello")
    provider.set_faults(error_rates={kind: 1})
    told = speech.stream(provider, "hello")
    assert (told.text, told.finish, told.broken) == (whole.text, whole.finish, None)
    assert told.ended is (kind == "no_usage")
    assert (told.usage is None) is (kind == "no_usage")
    assert ("usage" in repr(told.events)) is (kind == "no_end" or speech is OPENAI)
    _log_says(provider, kind, told.pieces, complete=kind == "no_usage")


def test_a_stream_that_trickles_never_falls_silent(provider: ProviderProcess, speech: Speech) -> None:
    provider.set_faults(error_rates={"trickle": 1})
    body = speech.body("hello", stream=True)
    with provider.http.stream("POST", speech.path, json=body, headers=speech.headers, timeout=2) as response:
        parts = [part for part, _ in zip(response.iter_raw(), range(8), strict=False)]
    assert [len(part) for part in parts[-5:]] == [1] * 5


def _log_says(provider: ProviderProcess, kind: str, tokens: int, complete: bool) -> None:
    for _ in range(200):
        call = provider.calls()[-1]
        if call["ended_at"] is not None:
            break
        time.sleep(0.01)
    assert (call["outcome"], call["status"], call["complete"]) == (kind, 200, complete)
    assert call["completion_tokens"] == tokens


def test_a_client_that_leaves_is_charged_for_what_was_sent(provider: ProviderProcess, speech: Speech) -> None:
    limits = {"tpm": 60_000, "limit_headers": "full"}
    provider.set_answers({"long": "word " * 400})
    provider.set_faults(**limits, latency="fixed(20000)", first_token=0)
    body = speech.body("long", stream=True, max_tokens=9000)
    with provider.http.stream("POST", speech.path, json=body, headers=speech.headers) as response:
        next(line for line in response.iter_lines() if "delta" in line and "word" in line)
    while provider.stats()["in_flight"]:
        time.sleep(0.01)
    (call,) = provider.calls()
    assert (call["outcome"], call["client_disconnected"], call["status"]) == ("client_disconnected", True, 200)
    assert 0 < call["completion_tokens"] < 250
    assert not call["complete"]
    provider.set_faults(**limits)
    left = int(provider.chat("next").headers["x-ratelimit-remaining-tokens"])
    assert left > 9000


@pytest.mark.parametrize("kind", ["http_503", "rate_limited"])
def test_what_fails_before_the_first_token_fails_without_a_stream(
    provider: ProviderProcess, speech: Speech, kind: str
) -> None:
    provider.set_faults(error_rates={kind: 1})
    told = speech.stream(provider, "hello")
    assert told.events == []
    assert told.error is not None
    assert provider.calls()[-1]["status"] == (503 if kind == "http_503" else 429)
