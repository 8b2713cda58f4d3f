"""Streams through the door: each piece handed out once, what arrived paid for, nothing repeated behind the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import orjson
import pytest

from app.domain.call import Call
from app.domain.errors import Fault, InputError, ProviderAuth, RateLimited, TransientError
from app.gateway.calls.booking import input_tokens
from app.gateway.lengths import UNKNOWN_TOKENS
from tests.clients.raw_server import Chunks, answering, http_answer
from tests.conformance.client_suite import SCHEMA, until
from tests.gateway.asking import Dialect, request, settings_for
from tests.gateway.conftest import NewGateway
from tests.loadtest.provider_process import ProviderProcess, running_provider


@pytest.fixture(params=["openai", "anthropic"])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


async def test_the_pieces_are_the_answer_and_it_is_booked_like_any_other(
    new_gateway: NewGateway, provider: ProviderProcess, dialect: Dialect
) -> None:
    provider.set_answers({"good product": "positive, by far"})
    gateway = new_gateway(settings_for(provider.base_url, dialect=dialect))
    calls, pieces = list[Call](), list[str]()
    answer = await gateway.complete(request("good product"), calls.append, pieces.append)
    assert (answer.text, answer.finish_reason) == ("positive, by far", "stop")
    assert pieces == ["posi", "tive", ", by", " far"]
    unstreamed = await gateway.complete(request("good product"), calls.append)
    assert unstreamed == answer
    first, second = calls
    for field in ("outcome", "http_status", "input_tokens", "output_tokens", "cost_nanos", "price_known", "answer"):
        assert getattr(first, field) == getattr(second, field)
    assert (first.output_tokens, first.price_known, first.outcome) == (4, True, "succeeded")
    assert [call["streamed"] for call in provider.calls()] == [True, False]
    assert {call["dialect"] for call in provider.calls()} == {dialect}


async def test_a_schema_is_streamed_too(new_gateway: NewGateway, provider: ProviderProcess, dialect: Dialect) -> None:
    pieces: list[str] = []
    gateway = new_gateway(settings_for(provider.base_url, dialect=dialect))
    await gateway.complete(request(schema=SCHEMA, schema_name="Sentiment"), lambda call: None, pieces.append)
    assert orjson.loads("".join(pieces))["label"] in ("positive", "negative")


@pytest.mark.parametrize("kind", ["truncated_body", "error_event", "no_end"])
async def test_what_arrived_of_a_cut_stream_is_paid_for(
    new_gateway: NewGateway, provider: ProviderProcess, dialect: Dialect, kind: str
) -> None:
    provider.set_faults(error_rates={kind: 1})
    calls, pieces = list[Call](), list[str]()
    gateway = new_gateway(settings_for(provider.base_url, dialect=dialect))
    with pytest.raises(TransientError) as caught:
        await gateway.complete(request(), calls.append, pieces.append)
    assert caught.value.code == "provider_unavailable"
    (call,), (seen,) = calls, provider.calls()
    assert (call.outcome, call.error_code, call.http_status) == ("failed", "provider_unavailable", 200)
    assert not call.price_known
    assert seen["completion_tokens"] <= call.output_tokens <= seen["completion_tokens"] + 1
    if dialect == "anthropic":
        assert call.input_tokens == seen["prompt_tokens"]
    assert call.cost_nanos == call.input_tokens * 150 + call.output_tokens * 600 > 0
    assert call.answer is not None
    assert orjson.loads(call.answer) == {"text": "".join(pieces), "finish_reason": "cut"}


async def test_who_leaves_in_mid_stream_pays_for_what_was_heard(
    new_gateway: NewGateway, provider: ProviderProcess, dialect: Dialect
) -> None:
    provider.set_answers({"long": "word " * 400})
    provider.set_faults(latency="fixed(20000)", first_token=0)
    calls, pieces = list[Call](), list[str]()
    gateway = new_gateway(settings_for(provider.base_url, dialect=dialect))
    task = asyncio.create_task(gateway.complete(request("long"), calls.append, pieces.append))
    await until(lambda: len(pieces) >= 3)
    task.cancel()
    await asyncio.wait([task])
    (call,) = calls
    assert (call.outcome, call.error_code, call.price_known) == ("failed", "canceled", False)
    assert len(pieces) <= call.output_tokens <= len(pieces) + 1
    assert call.cost_nanos > 0
    await until(lambda: provider.stats()["in_flight"] == 0)


async def test_who_leaves_before_the_first_piece_may_have_to_pay(
    new_gateway: NewGateway, provider: ProviderProcess
) -> None:
    provider.set_faults(latency="fixed(20000)", first_token=1)
    calls: list[Call] = []
    gateway = new_gateway(settings_for(provider.base_url))
    task = asyncio.create_task(gateway.complete(request(), calls.append, lambda text: None))
    await until(lambda: provider.stats()["in_flight"] == 1)
    task.cancel()
    await asyncio.wait([task])
    (call,) = calls
    assert (call.error_code, call.price_known, call.answer) == ("canceled", False, None)
    assert call.cost_nanos == input_tokens(call.request or b"") * 150 + UNKNOWN_TOKENS * 600


async def test_a_429_before_the_first_piece_is_repeated_by_itself(
    new_gateway: NewGateway, provider: ProviderProcess, dialect: Dialect
) -> None:
    provider.set_answers({"hello": [{"$fault": "rate_limited"}, "hi"]})
    gateway = new_gateway(settings_for(provider.base_url, dialect=dialect, rate_limit_wait_s=0.1))
    calls, pieces = list[Call](), list[str]()
    await gateway.complete(request(), calls.append, pieces.append)
    assert pieces == ["hi"]
    assert [(call.outcome, call.cost_nanos > 0) for call in calls] == [("rate_limited", False), ("succeeded", True)]


def _events(*events: dict[str, Any]) -> bytes:
    return http_answer(b"".join(b"data: %b\n\n" % orjson.dumps(event) for event in events))


_START = {"type": "message_start", "message": {"usage": {"input_tokens": 30, "output_tokens": 1}}}
_HI = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hi"}}
_END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
_STOP = {"type": "message_stop"}
_GOOD = _events(_START, _HI, _END, _STOP)


def _error(type_: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": type_, "message": "x"}}


def _in_turn(*answers: bytes) -> Chunks:
    """The answers one after the other; the last one stays."""
    turns: Iterator[bytes] = chain(answers[:-1], repeat(answers[-1]))
    return lambda: [next(turns)]


async def test_a_limit_told_in_the_stream_is_repeated_only_while_nothing_was_heard(new_gateway: NewGateway) -> None:
    limited = _error("rate_limit_error")
    for first, repeated in (((_START, limited), True), ((_START, _HI, limited), False)):
        calls, pieces = list[Call](), list[str]()
        async with answering(_in_turn(_events(*first), _GOOD)) as server:
            gateway = new_gateway(settings_for(server.base_url, dialect="anthropic", rate_limit_wait_s=0.1))
            asked = gateway.complete(request(), calls.append, pieces.append)
            if repeated:
                assert (await asked).text == "hi"
            else:
                with pytest.raises(RateLimited):
                    await asked
            assert len(server.requests) == 1 + repeated
        assert pieces == ["hi"]
        assert (calls[0].outcome, calls[0].input_tokens, calls[0].price_known) == ("rate_limited", 30, False)
        assert calls[0].cost_nanos > 0


async def test_a_refused_credential_takes_the_next_target_only_while_nothing_was_heard(
    new_gateway: NewGateway,
) -> None:
    unpaid = _error("billing_error")
    for first, next_ in (((_START, unpaid), True), ((_START, _HI, unpaid), False)):
        pieces: list[str] = []
        async with answering(_events(*first)) as server, answering(_GOOD) as other:
            gateway = new_gateway(settings_for(server.base_url, other.base_url, dialect="anthropic"))
            asked = gateway.complete(request(), lambda call: None, pieces.append)
            if next_:
                assert (await asked).text == "hi"
            else:
                with pytest.raises(ProviderAuth):
                    await asked
            assert len(other.requests) == next_
        assert pieces == ["hi"]


@pytest.mark.parametrize(
    ("kind", "fault_type"),
    [("http_529", TransientError), ("insufficient_quota", ProviderAuth)],
)
async def test_what_fails_before_the_stream_costs_nothing(
    new_gateway: NewGateway, provider: ProviderProcess, dialect: Dialect, kind: str, fault_type: type[Fault]
) -> None:
    provider.set_faults(error_rates={kind: 1})
    calls: list[Call] = []
    with pytest.raises(fault_type):
        await new_gateway(settings_for(provider.base_url, dialect=dialect)).complete(
            request(), calls.append, lambda text: None
        )
    assert [(call.cost_nanos, call.price_known, call.answer) for call in calls] == [(0, True, None)]


async def test_refused_content_in_a_stream(
    new_gateway: NewGateway, provider: ProviderProcess, dialect: Dialect
) -> None:
    provider.set_faults(error_rates={"content_filter": 1})
    calls: list[Call] = []
    with pytest.raises(InputError):
        await new_gateway(settings_for(provider.base_url, dialect=dialect)).complete(
            request(), calls.append, lambda text: None
        )
    assert (calls[0].error_code, calls[0].cost_nanos > 0) == ("provider_refused", True)


async def test_a_listener_that_fails_frees_the_slot(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    gateway, calls = new_gateway(settings_for(provider.base_url)), list[Call]()

    def fails(text: str) -> None:
        raise RuntimeError("a bug")

    for _ in range(12):
        with pytest.raises(Fault):
            await gateway.complete(request(), calls.append, fails)
    assert all(call.cost_nanos > 0 and not call.price_known for call in calls)
    assert (await gateway.complete(request(), calls.append, lambda text: None)).finish_reason == "stop"


async def test_a_ladder_over_both_dialects(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    with running_provider("--api-key", "another") as locked:
        settings = settings_for(locked.base_url, provider.base_url, key="mine")
        backup = settings.providers["backup1"].model_copy(update={"dialect": "anthropic"})
        both = settings.model_copy(update={"providers": {**settings.providers, "backup1": backup}})
        pieces: list[str] = []
        answer = await new_gateway(both).complete(request(), lambda call: None, pieces.append)
    assert "".join(pieces) == answer.text
    assert provider.calls()[0]["dialect"] == "anthropic"
