"""How long answers are and take: by length, by the crowd at the provider; what a refusal takes."""

import asyncio
import time

import httpx

from tests.loadtest.provider_process import ProviderProcess, chat_body


def test_an_answer_takes_as_long_as_it_is(provider: ProviderProcess) -> None:
    provider.set_faults(answer_tokens="fixed(40)", latency="tokens(50,5,0)")
    answer = provider.chat("hello").json()
    assert answer["usage"]["completion_tokens"] == 40
    [call] = provider.calls()
    assert (call["completion_tokens"], round(call["alone_s"], 3)) == (40, 0.25)


def test_lengths_differ_by_question_and_repeat(provider: ProviderProcess) -> None:
    provider.set_faults(answer_tokens="lognormal(20,60)", latency="fixed(0)")
    lengths = [provider.chat(text).json()["usage"]["completion_tokens"] for text in "abcdabcd"]
    assert lengths[:4] == lengths[4:]
    assert len(set(lengths)) > 1


def test_a_request_without_a_bound_has_the_provider_s(provider: ProviderProcess) -> None:
    provider.set_faults(answer_tokens="fixed(50)", latency="fixed(0)", max_tokens=30, tpm=6000, limit_headers="full")
    bounded, own = provider.chat("abcd"), provider.chat("abcd", max_tokens=10)
    assert [answer.json()["usage"]["completion_tokens"] for answer in (bounded, own)] == [30, 10]
    assert [answer.json()["choices"][0]["finish_reason"] for answer in (bounded, own)] == ["stop", "stop"]
    assert bounded.headers["x-ratelimit-remaining-tokens"] == str(1000 - 31)


async def test_above_the_knee_latency_grows_in_proportion(provider: ProviderProcess) -> None:
    provider.set_faults(knee=2, latency="fixed(100)")
    async with httpx.AsyncClient(base_url=provider.url, trust_env=False) as client:
        asked = (client.post("/v1/chat/completions", json=chat_body(f"{n}")) for n in range(8))
        took = sorted([answer.elapsed.total_seconds() for answer in await asyncio.gather(*asked)])
    assert took[0] >= 0.1
    assert took[-1] >= 0.4
    assert {round(call["alone_s"], 3) for call in provider.calls()} == {0.1}


def test_a_refusal_may_take_its_time(provider: ProviderProcess) -> None:
    provider.set_faults(rpm=1, burst_s=1, latency="fixed(0)", refusal="fixed(150)")
    assert provider.chat("hello").status_code == 200
    began = time.perf_counter()
    assert provider.chat("hello").status_code == 429
    assert time.perf_counter() - began >= 0.15
