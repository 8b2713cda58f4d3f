"""Limits over HTTP: 429 with and without headers, requests, tokens and calls in flight."""

import asyncio
import time
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.loadtest.provider_process import ProviderProcess, chat_body


def test_a_hidden_limit_says_nothing_of_itself(provider: ProviderProcess) -> None:
    provider.set_faults(rpm=6, burst_s=30)
    seen = [provider.chat("hello") for _ in range(5)]
    assert [response.status_code for response in seen] == [200, 200, 200, 429, 429]
    error = seen[-1].json()["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert not [name for name in seen[-1].headers if "ratelimit" in name or name == "retry-after"]
    assert provider.stats()["by_outcome"] == {"ok": 3, "limit_requests": 2}


def test_retry_after_alone(provider: ProviderProcess) -> None:
    provider.set_faults(rpm=6, burst_s=10, limit_headers="retry-after")
    passed, refused = provider.chat("hello"), provider.chat("hello")
    assert "retry-after" not in passed.headers
    assert refused.headers["retry-after"] == "10"
    assert not [name for name in refused.headers if "ratelimit" in name]
    assert refused.json()["error"]["type"] == "requests"


def test_full_headers_count_down(provider: ProviderProcess) -> None:
    provider.set_faults(rpm=6, tpm=6000, burst_s=60, limit_headers="full")
    seen = [provider.chat("x" * 400, max_tokens=100) for _ in range(7)]
    assert [response.headers["x-ratelimit-remaining-requests"] for response in seen] == list("5432100")
    assert seen[0].headers["x-ratelimit-limit-requests"] == "6"
    assert seen[0].headers["x-ratelimit-limit-tokens"] == "6000"
    assert seen[0].headers["x-ratelimit-remaining-tokens"] == "5800"
    assert seen[0].headers["x-ratelimit-reset-requests"] == "10s"
    refused = seen[-1]
    assert refused.status_code == 429
    assert 8 <= int(refused.headers["retry-after"]) <= 10
    assert 8000 <= int(refused.headers["retry-after-ms"]) <= 10_000


def test_a_passed_wait_lets_the_next_call_in(provider: ProviderProcess) -> None:
    provider.set_faults(rpm=60, burst_s=1, limit_headers="full")
    assert provider.chat("hello").status_code == 200
    refused = provider.chat("hello")
    assert refused.status_code == 429
    time.sleep(int(refused.headers["retry-after-ms"]) / 1000)
    assert provider.chat("hello").status_code == 200


def test_a_reset_fills_the_limits_again_and_a_change_does_not(provider: ProviderProcess) -> None:
    provider.set_faults(rpm=6, burst_s=10)
    assert [provider.chat("hello").status_code for _ in range(2)] == [200, 429]
    provider.set_faults(rpm=5, burst_s=12)
    assert provider.chat("hello").status_code == 429
    provider.reset_faults()
    provider.set_faults(rpm=5, burst_s=12)
    assert provider.chat("hello").status_code == 200


def test_tokens_are_a_limit_of_their_own(provider: ProviderProcess) -> None:
    provider.set_faults(tpm=6000, limit_headers="full")
    seen = [provider.chat("x" * 1600) for _ in range(3)]
    assert [response.status_code for response in seen] == [200, 200, 429]
    assert seen[-1].json()["error"]["type"] == "tokens"
    assert provider.stats()["by_outcome"]["limit_tokens"] == 1


async def _burst(provider: ProviderProcess, calls: int) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=calls, max_keepalive_connections=calls)
    async with httpx.AsyncClient(base_url=provider.url, trust_env=False, limits=limits) as client:
        bodies: list[dict[str, Any]] = [chat_body(f"burst {n}") for n in range(calls)]
        return await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for body in bodies))


async def test_calls_in_flight_are_capped(provider: ProviderProcess) -> None:
    provider.set_faults(max_in_flight=5, latency="fixed(400)")
    assert Counter(response.status_code for response in await _burst(provider, 20)) == {200: 5, 429: 15}
    assert provider.stats()["by_outcome"] == {"ok": 5, "limit_concurrency": 15}
    assert provider.stats()["max_in_flight_seen"] >= 5
    assert Counter(response.status_code for response in await _burst(provider, 5)) == {200: 5}


async def test_a_client_that_leaves_frees_its_place(provider: ProviderProcess) -> None:
    provider.set_faults(max_in_flight=1, latency="fixed(5000)")
    with pytest.raises(httpx.ReadTimeout):
        provider.chat("hello", timeout_s=0.1)
    provider.http.patch("/sim/faults", json={"latency": "fixed(0)"}).raise_for_status()
    assert provider.chat("hello").status_code == 200
    assert [call["outcome"] for call in provider.calls()] == ["client_disconnected", "ok"]
