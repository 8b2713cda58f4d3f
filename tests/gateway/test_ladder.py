"""Down the ladder: which ends of a call make the next target be asked, over real HTTP; what is raised at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.call import Call
from app.domain.errors import Fault, InputError, MustWait, ProviderAuth, SystemFault, TransientError
from app.gateway.calls.routes import Target
from app.gateway.descent import Descent, Ended
from app.gateway.pools.pool import Pool
from app.settings import LadderTarget, ModelAlias, Settings
from tests.clients.raw_server import answering, http_answer
from tests.gateway.asking import request, settings_for
from tests.gateway.conftest import NewGateway
from tests.loadtest.provider_process import ProviderProcess, running_provider

_TARGET = Target("main", "mini-1", Pool("main/mini", 10))


@pytest.fixture(scope="module")
def other() -> Iterator[ProviderProcess]:
    """The provider of the first target; `provider` serves the second."""
    with running_provider("--seed", "14") as running:
        yield running


@pytest.fixture
def first(other: ProviderProcess) -> ProviderProcess:
    other.reset_faults()
    other.clear_calls()
    return other


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("http_503", "provider_unavailable"),
        ("http_500", "provider_unavailable"),
        ("timeout", "provider_timeout"),
        ("truncated_body", "provider_unavailable"),
        ("insufficient_quota", "provider_auth"),
    ],
)
async def test_what_is_wrong_with_the_target_takes_the_next_one(
    new_gateway: NewGateway, first: ProviderProcess, provider: ProviderProcess, kind: str, code: str
) -> None:
    first.set_faults(error_rates={kind: 1})
    gateway, calls = new_gateway(settings_for(first.base_url, provider.base_url)), list[Call]()
    answer = await gateway.complete(request(timeout_s=1.0 if kind == "timeout" else 10.0), calls.append)
    assert answer.finish_reason == "stop"
    assert [(call.provider, call.outcome) for call in calls] == [("main", "failed"), ("backup1", "succeeded")]
    refused = kind.startswith("http") or kind == "insufficient_quota"
    assert (calls[0].error_code, calls[0].cost_nanos == 0, calls[0].price_known) == (code, refused, refused)
    assert calls[1].cost_nanos > 0
    assert (len(first.calls()), len(provider.calls())) == (1, 1)


async def test_a_provider_that_is_not_there_takes_the_next_target(
    new_gateway: NewGateway, provider: ProviderProcess
) -> None:
    with running_provider() as gone:
        url = gone.base_url
    calls: list[Call] = []
    await new_gateway(settings_for(url, provider.base_url)).complete(request(), calls.append)
    assert [(call.provider, call.error_code) for call in calls] == [("main", "provider_unavailable"), ("backup1", None)]


async def test_a_refused_credential_takes_the_next_target(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    with running_provider("--api-key", "another") as locked:
        gateway = new_gateway(settings_for(locked.base_url, provider.base_url, key="mine"))
        calls: list[Call] = []
        await gateway.complete(request(), calls.append)
        assert [(call.provider, call.outcome) for call in calls] == [("main", "failed"), ("backup1", "succeeded")]
        assert calls[0].error_code == "provider_auth"
        with pytest.raises(ProviderAuth):
            await new_gateway(settings_for(locked.base_url, key="other")).complete(request(), calls.append)
        assert len(locked.calls()) == 2


async def test_a_model_that_is_unknown_there_takes_the_next_target(
    new_gateway: NewGateway, provider: ProviderProcess
) -> None:
    with running_provider("--model", "another") as strange:
        calls: list[Call] = []
        await new_gateway(settings_for(strange.base_url, provider.base_url)).complete(request(), calls.append)
        assert [(call.http_status, call.outcome) for call in calls] == [(404, "failed"), (200, "succeeded")]
        with pytest.raises(SystemFault):
            await new_gateway(settings_for(strange.base_url)).complete(request(), calls.append)


@pytest.mark.parametrize("kind", ["context_length_exceeded", "content_filter"])
async def test_what_is_wrong_with_the_question_is_asked_of_nobody_else(
    new_gateway: NewGateway, first: ProviderProcess, provider: ProviderProcess, kind: str
) -> None:
    first.set_faults(error_rates={kind: 1})
    with pytest.raises(InputError):
        await new_gateway(settings_for(first.base_url, provider.base_url)).complete(request(), lambda call: None)
    assert provider.calls() == []


async def test_a_long_wait_takes_the_next_target_and_charges_nothing(
    new_gateway: NewGateway, provider: ProviderProcess
) -> None:
    calls = list[Call]()
    async with answering(http_answer(b"{}", "429 Too Many", retry_after="60")) as first:
        settings = settings_for(first.base_url, provider.base_url, per_minute=None, max_slot_wait_s=2)
        gateway = new_gateway(settings)
        for _ in range(2):
            await gateway.complete(request(), calls.append)
    ends = [(call.provider, call.outcome) for call in calls]
    assert ends == [("main", "rate_limited"), ("backup1", "succeeded"), ("backup1", "succeeded")]


async def test_when_all_must_wait_the_shortest_wait_counts(
    new_gateway: NewGateway, first: ProviderProcess, provider: ProviderProcess
) -> None:
    first.set_faults(error_rates={"rate_limited": 1})
    provider.set_faults(error_rates={"rate_limited": 1}, limit_headers="retry-after")
    settings = settings_for(first.base_url, provider.base_url, rate_limit_wait_s=600, max_slot_wait_s=0)
    with pytest.raises(MustWait) as caught:
        await new_gateway(settings).complete(request(), lambda call: None)
    assert (caught.value.until - datetime.now(UTC)).total_seconds() < 120
    assert len(first.calls()) == len(provider.calls()) == 1


async def test_calls_are_shared_by_weight_and_what_fails_falls(
    new_gateway: NewGateway, first: ProviderProcess, provider: ProviderProcess
) -> None:
    gateway = new_gateway(_weighted(settings_for(first.base_url, provider.base_url), 3, 1))
    calls: list[Call] = []
    asked = [request(f"item {n}", idempotency_key=f"question {n}") for n in range(80)]
    await asyncio.gather(*(gateway.complete(one, calls.append) for one in asked))
    assert 45 <= len(first.calls()) <= 75
    assert len(first.calls()) + len(provider.calls()) == len(calls) == 80
    # The same questions again go to the same targets; those of a target that is down, to the other one.
    shares = len(first.calls()), len(provider.calls())
    await asyncio.gather(*(gateway.complete(one, calls.append) for one in asked))
    assert (len(first.calls()), len(provider.calls())) == (2 * shares[0], 2 * shares[1])
    provider.set_faults(error_rates={"http_503": 1})
    await asyncio.gather(*(gateway.complete(one, calls.append) for one in asked))
    assert len(first.calls()) == 2 * shares[0] + 80


def _weighted(settings: Settings, *weights: int) -> Settings:
    ladder = [
        LadderTarget(provider=rung.provider, model=rung.model, weight=weight)
        for rung, weight in zip(settings.ladder("small"), weights, strict=True)
    ]
    return settings.model_copy(update={"models": {"small": ModelAlias(ladder=ladder)}})


async def test_each_target_has_a_key_of_its_own_and_keeps_it(
    new_gateway: NewGateway, provider: ProviderProcess
) -> None:
    ladder = [LadderTarget(provider="main", model=model) for model in ("mini-1", "big-1")]
    settings = settings_for(provider.base_url).model_copy(update={"models": {"small": ModelAlias(ladder=ladder)}})
    gateway = new_gateway(settings)
    for _ in range(2):
        provider.set_answers({"hello": [{"$fault": "http_503"}, "hi"]})
        await gateway.complete(request(), lambda call: None)
    seen = [(call["model"], call["idempotency_key"]) for call in provider.calls()]
    assert [model for model, _ in seen] == ["mini-1", "big-1"] * 2
    # The body names the model: under one key it would be another request.
    assert seen[0] == seen[2] and seen[1] == seen[3] and seen[0][1] != seen[1][1]
    provider.clear_calls()
    await gateway.complete(request("another prompt of the same step"), lambda call: None)
    assert provider.calls()[0]["idempotency_key"] not in {key for _, key in seen}


async def test_a_stream_that_was_heard_falls_to_nobody(
    new_gateway: NewGateway, first: ProviderProcess, provider: ProviderProcess
) -> None:
    heard: list[str] = []
    first.set_faults(error_rates={"error_event": 1})
    gateway = new_gateway(settings_for(first.base_url, provider.base_url))
    with pytest.raises(TransientError):
        await gateway.complete(request("tell me a long story"), lambda call: None, heard.append)
    assert heard
    assert provider.calls() == []


_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _wait(reason: str, seconds: int) -> MustWait:
    return MustWait(reason, _NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ([_wait("rate_limit", 60), _wait("provider_down", 20)], 1),
        ([_wait("budget", 5), _wait("rate_limit", 60)], 1),
        ([TransientError("503"), _wait("rate_limit", 60)], 1),
        ([TransientError("503"), _wait("budget", 5)], 0),
        ([ProviderAuth("401"), TransientError("503"), SystemFault("404")], 1),
        ([ProviderAuth("401"), _wait("budget", 60)], 1),
        ([SystemFault("404"), ProviderAuth("401")], 1),
    ],
)
def test_what_is_told_when_nobody_answered(ends: list[Ended], told: int) -> None:
    descent = Descent()
    for end in ends:
        descent.note(_TARGET, end)
    assert descent.end() is ends[told]
    assert isinstance(descent.end(), Fault | MustWait)
