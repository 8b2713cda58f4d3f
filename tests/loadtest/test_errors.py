"""Each kind of error as a client meets it, and the share in which the kinds come."""

import json
import re

import httpx
import pytest

from app.loadtest.provider.fault import ERROR_KINDS
from tests.faults.memory import memory_mb
from tests.loadtest.provider_process import ProviderProcess, chat_body, content_of
from tests.stack import until

_SCHEMA = {"type": "object", "properties": {"label": {"enum": ["a", "b"]}}, "required": ["label"]}
_REFUSALS = {
    "http_500": (500, None),
    "http_503": (503, None),
    "http_529": (529, None),
    "insufficient_quota": (429, "insufficient_quota"),
    "rate_limited": (429, "rate_limit_exceeded"),
    "invalid_request": (400, "invalid_value"),
    "context_length_exceeded": (400, "context_length_exceeded"),
}
_CUTS = {
    "timeout": httpx.ReadTimeout,
    "reset": httpx.ReadError,
    "truncated_body": httpx.RemoteProtocolError,
    "stalled": httpx.ReadTimeout,
}
# Kinds that leave a call without a stream whole; as streams they have tests of their own.
_HARMLESS = ("no_end", "error_event", "no_usage")
# What has a test of its own.
_DELIVERED = ("trickle", "endless", "wrong_shape")
_SPOILED = {"truncated": "length", "content_filter": "content_filter", "bad_json": "stop"}


def test_every_kind_is_tested_here() -> None:
    assert sorted([*_REFUSALS, *_CUTS, *_SPOILED, *_HARMLESS, *_DELIVERED]) == sorted(ERROR_KINDS)


@pytest.mark.parametrize("kind", _REFUSALS)
def test_refusals(provider: ProviderProcess, kind: str) -> None:
    provider.set_faults(error_rates={kind: 1})
    response = provider.chat("hello")
    assert (response.status_code, response.json()["error"]["code"]) == _REFUSALS[kind]
    assert "retry-after" not in response.headers
    assert provider.stats()["by_outcome"] == {kind: 1}


@pytest.mark.parametrize("kind", _CUTS)
def test_cut_connections(provider: ProviderProcess, kind: str) -> None:
    provider.set_faults(error_rates={kind: 1})
    with pytest.raises(_CUTS[kind]):
        provider.chat("hello", timeout_s=0.2 if kind in ("timeout", "stalled") else 10)
    assert provider.stats()["by_outcome"] == {kind: 1}
    assert provider.stats()["in_flight"] == 0
    provider.reset_faults()
    assert provider.chat("hello").status_code == 200


@pytest.mark.parametrize("kind", _SPOILED)
def test_spoiled_answers(provider: ProviderProcess, kind: str) -> None:
    provider.set_faults(error_rates={kind: 1})
    for n in range(12):
        response = provider.chat(f"hello {n}", schema=_SCHEMA)
        assert response.json()["choices"][0]["finish_reason"] == _SPOILED[kind]
        assert not _fits(content_of(response))
    assert provider.stats()["by_outcome"] == {kind: 12}


@pytest.mark.parametrize("kind", _HARMLESS)
def test_kinds_that_leave_the_answer_whole(provider: ProviderProcess, kind: str) -> None:
    whole = provider.chat("hello").json()
    provider.set_faults(error_rates={kind: 1})
    body = provider.chat("hello").json()
    assert body["choices"] == whole["choices"]
    assert ("usage" in body) == (kind != "no_usage")
    (_, call) = provider.calls()
    assert (call["outcome"], call["complete"]) == (kind if kind == "no_usage" else "ok", True)


def test_a_trickle_comes_byte_by_byte(provider: ProviderProcess) -> None:
    provider.set_faults(error_rates={"trickle": 1})
    with provider.http.stream("POST", "/v1/chat/completions", json=chat_body("hello"), timeout=5) as response:
        parts = [part for part, _ in zip(response.iter_raw(), range(6), strict=False)]
    assert len(parts[0]) == int(response.headers["content-length"]) // 2
    assert [len(part) for part in parts[1:]] == [1] * 5
    assert provider.stats()["by_outcome"] == {"trickle": 1}


def test_an_endless_answer_comes_until_the_client_leaves(provider: ProviderProcess) -> None:
    provider.set_faults(error_rates={"endless": 1})
    before, taken = memory_mb(provider.pid), 0
    with provider.http.stream("POST", "/v1/chat/completions", json=chat_body("hello"), timeout=5) as response:
        assert int(response.headers["content-length"]) > 500_000_000
        for part in response.iter_raw():
            taken += len(part)
            if taken > 60_000_000:
                break
    until(lambda: provider.stats()["by_outcome"] == {"endless": 1})
    assert memory_mb(provider.pid) - before < 20
    assert provider.stats()["in_flight"] == 0


def test_json_of_no_known_shape(provider: ProviderProcess) -> None:
    provider.set_faults(error_rates={"wrong_shape": 1})
    response = provider.chat("hello")
    assert response.status_code == 200 and "unexpected" in response.json()
    assert not isinstance(response.json()["choices"], list)
    assert provider.stats()["by_outcome"] == {"wrong_shape": 1}


def _fits(content: str) -> bool:
    try:
        answer = json.loads(content)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("label") in ("a", "b")


def test_kinds_come_in_their_shares(provider: ProviderProcess) -> None:
    provider.set_faults(error_rates={"http_500": 0.2, "rate_limited": 0.1})
    for n in range(400):
        provider.chat(f"share {n}")
    counts = provider.stats()["by_outcome"]
    assert counts["http_500"] / 400 == pytest.approx(0.2, abs=0.06)
    assert counts["rate_limited"] / 400 == pytest.approx(0.1, abs=0.05)
    assert counts["http_500"] + counts["rate_limited"] + counts["ok"] == 400


def test_errors_take_the_latency_of_an_answer(provider: ProviderProcess) -> None:
    provider.set_faults(error_rates={"http_500": 1}, latency="fixed(150)")
    assert provider.chat("hello").elapsed.total_seconds() >= 0.15


def test_a_rate_limit_that_is_none_announces_a_wait_where_headers_are_on(provider: ProviderProcess) -> None:
    provider.set_faults(error_rates={"rate_limited": 1}, limit_headers="full")
    assert re.fullmatch(r"\d+", provider.chat("hello").headers["retry-after"])
