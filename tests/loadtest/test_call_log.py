"""The call log and the journal: what the provider saw, while it runs and after it was killed."""

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.loadtest.provider_process import ProviderProcess, chat_body, running_provider

_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_call_is_logged_with_what_identifies_it(provider: ProviderProcess) -> None:
    headers = {"Idempotency-Key": "job_1/step/1", "traceparent": _TRACE}
    response = provider.chat("Rate <item>nice</item>", model="big-1", headers=headers)
    (call,) = provider.calls()
    assert call["model"] == "big-1"
    assert call["item"] == "nice"
    assert (call["idempotency_key"], call["traceparent"]) == ("job_1/step/1", _TRACE)
    assert (call["status"], call["outcome"], call["client_disconnected"]) == (200, "ok", False)
    usage = response.json()["usage"]
    assert (call["prompt_tokens"], call["completion_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert datetime.fromisoformat(call["arrived_at"]) <= datetime.fromisoformat(call["ended_at"])


def test_the_log_is_read_in_pages_and_cleared(provider: ProviderProcess) -> None:
    for n in range(5):
        provider.chat(f"page {n}")
    numbers = [call["n"] for call in provider.calls()]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    page = provider.http.get("/sim/calls", params={"after": numbers[1], "limit": 2}).json()
    assert [call["item"] for call in page["data"]] == ["page 2", "page 3"]
    assert page["next"] == numbers[3]
    assert provider.http.get("/sim/calls", params={"after": numbers[4]}).json() == {"data": [], "next": numbers[4]}
    assert provider.http.get("/sim/calls", params={"after": "x"}).status_code == 400
    provider.clear_calls()
    assert provider.calls() == []
    assert provider.stats() == {
        "calls": 0,
        "in_flight": 0,
        "max_in_flight_seen": 0,
        "by_status": {},
        "by_outcome": {},
    }
    provider.chat("after")
    assert provider.calls()[0]["n"] == numbers[4] + 1


def test_only_the_last_calls_are_kept_but_all_are_counted() -> None:
    with running_provider("--keep-calls", "3") as provider:
        for n in range(5):
            provider.chat(f"keep {n}")
        assert [call["item"] for call in provider.calls()] == ["keep 2", "keep 3", "keep 4"]
        assert provider.stats()["calls"] == 5


async def test_a_running_call_stands_in_the_log_and_a_client_that_leaves_is_seen(provider: ProviderProcess) -> None:
    provider.set_faults(latency="fixed(5000)")
    async with httpx.AsyncClient(base_url=provider.url, trust_env=False) as client:
        task = asyncio.create_task(client.post("/v1/chat/completions", json=chat_body("slow")))
        await _in_flight(provider, 1)
        (running,) = provider.calls()
        assert (running["ended_at"], running["status"], running["outcome"]) == (None, None, None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await _in_flight(provider, 0)
    (ended,) = provider.calls()
    assert (ended["outcome"], ended["client_disconnected"], ended["status"]) == ("client_disconnected", True, None)
    assert provider.stats()["by_status"] == {"none": 1}


async def _in_flight(provider: ProviderProcess, count: int) -> None:
    for _ in range(500):
        if provider.stats()["in_flight"] == count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never {count} calls in flight: {provider.stats()}")


def _journal(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("flags", [(), ("--fsync",)])
async def test_the_journal_survives_kill_9(tmp_path: Path, flags: tuple[str, ...]) -> None:
    path = tmp_path / "journal.jsonl"
    with running_provider("--journal", str(path), *flags) as provider:
        for n in range(20):
            provider.chat(f"done {n}", headers={"Idempotency-Key": f"k{n}"})
        provider.set_faults(error_rates={"timeout": 1})
        await _kill_in_mid_call(provider, path)
    lines = _journal(path)
    ended = [line["call"]["item"] for line in lines if line["event"] == "ended"]
    arrived = [line["call"]["item"] for line in lines if line["event"] == "arrived"]
    assert ended == [f"done {n}" for n in range(20)]
    assert sorted(arrived) == sorted([*ended, *(f"hanging {n}" for n in range(5))])
    assert {line["pid"] for line in lines} == {provider.pid}
    with running_provider("--journal", str(path)) as again:
        again.chat("after")
    assert [line["call"]["item"] for line in _journal(path)[-2:]] == ["after", "after"]


async def _kill_in_mid_call(provider: ProviderProcess, path: Path) -> None:
    async with httpx.AsyncClient(base_url=provider.url, trust_env=False) as client:
        bodies = [chat_body(f"hanging {n}") for n in range(5)]
        tasks = [asyncio.create_task(client.post("/v1/chat/completions", json=body)) for body in bodies]
        await _in_flight(provider, 5)
        provider.kill()
        assert all(isinstance(end, httpx.HTTPError) for end in await asyncio.gather(*tasks, return_exceptions=True))
    assert len(_journal(path)) == 45
