"""When a step's own way is closed or has failed for good: fallbacks, what is left out, and what is told of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from app.domain.errors import MustWait
from app.domain.job import Reason
from app.domain.step import StepStatus, Via
from app.engine.journal import MemoryJournal
from app.engine.perform import Failed, Parked, Succeeded, perform
from app.engine.virtual import VirtualClock
from laneway import Context, InputError, Policy, ProcessingError, TransientError, workflow
from laneway.testing import Reply, run
from tests.engine.support import START, Flaky, flow, make_run, once


class Mood(BaseModel):
    label: str


def keyword_mood(text: str) -> Mood:
    return Mood(label="angry" if "refund" in text else "calm")


def always_down() -> MustWait:
    return MustWait(Reason.PROVIDER_DOWN, START + timedelta(seconds=20))


@workflow("mood", version="1")
async def mood(ctx: Context, text: str) -> Mood:
    return await ctx.ask("classify", model="small", prompt=text, output=Mood, policy=Policy(fallback=keyword_mood))


@workflow("mood-other", version="1")
async def mood_by_another_model(ctx: Context, text: str) -> Mood:
    return await ctx.ask("classify", model="small", prompt=text, output=Mood, policy=Policy(fallback="large"))


async def test_while_the_provider_is_down_the_function_answers_and_the_job_says_so() -> None:
    journal = MemoryJournal()
    given = make_run("a refund, now", replies={"classify": always_down()}, journal=journal)
    outcome = await perform(mood, given)
    assert isinstance(outcome, Succeeded)
    assert outcome.output == b'{"label":"angry"}'
    assert outcome.degraded == ({"step": "classify", "reason": "fallback_function"},)
    assert not outcome.incomplete
    (record,) = journal.records
    assert (record.via, record.tries, record.status) == (Via.FALLBACK_FUNCTION, 0, StepStatus.SUCCEEDED)


async def test_a_later_run_reads_the_record_and_says_the_same() -> None:
    journal = MemoryJournal()
    first = await perform(mood, make_run("hi", replies={"classify": always_down()}, journal=journal))
    again = await perform(mood, make_run("hi", journal=journal.take_over(), resumed=True))
    assert isinstance(first, Succeeded) and isinstance(again, Succeeded)
    assert (again.output, again.degraded) == (first.output, first.degraded)


async def test_while_the_provider_is_down_another_model_answers() -> None:
    journal = MemoryJournal()
    replies = {"classify": [always_down(), Reply({"label": "calm"}, cost_nanos=7)]}
    outcome = await perform(mood_by_another_model, make_run("hi", replies=replies, journal=journal))
    assert isinstance(outcome, Succeeded)
    assert outcome.degraded == ({"step": "classify", "reason": "fallback_model"},)
    assert outcome.usage.cost_nanos == 7
    assert [call.model for call in journal.calls] == ["small", "large"]


async def test_where_both_models_are_down_the_job_waits_and_no_try_is_used() -> None:
    journal, clock = MemoryJournal(), VirtualClock(START)
    given = make_run("hi", replies={"classify": always_down()}, journal=journal, clock=clock)
    outcome = await perform(mood_by_another_model, given)
    assert isinstance(outcome, Parked)
    assert (outcome.reason, outcome.charged) == (Reason.PROVIDER_DOWN, False)
    assert outcome.until == START + timedelta(seconds=20)
    assert journal.records == []


async def test_nobody_holds_a_slot_for_a_provider_that_is_down() -> None:
    soon = MustWait(Reason.PROVIDER_DOWN, START)
    outcome = await perform(flow(Flaky(soon)), make_run("x"))
    assert isinstance(outcome, Parked)
    assert outcome.until - START > timedelta(seconds=2)


async def test_after_the_last_try_the_function_answers_with_the_step_s_arguments() -> None:
    async def down(left: int, right: int) -> int:
        raise TransientError("away")

    def add(left: int, right: int) -> int:
        return left + right

    policy = Policy(tries=2, backoff="1ms", fallback=add)
    outcome, journal = await once(down, 3, 4, policy=policy)
    assert isinstance(outcome, Succeeded)
    assert outcome.output == b'{"result":7}'
    assert (journal.records[0].tries, journal.records[0].via) == (2, Via.FALLBACK_FUNCTION)


async def test_an_answer_that_fits_nothing_leads_to_the_fallback() -> None:
    assert (await run(mood, "refund", replies={"classify": "no JSON"})).label == "angry"


async def test_wrong_input_is_wrong_for_every_way() -> None:
    def never() -> str:
        raise AssertionError

    outcome, _ = await once(Flaky(InputError("empty")), policy=Policy(fallback=never))
    assert isinstance(outcome, Failed)
    assert outcome.failure.code == "input_invalid"


async def test_where_the_fallback_fails_too_the_step_s_own_failure_stands() -> None:
    def broken() -> str:
        raise ValueError("broken too")

    outcome, journal = await once(Flaky(ProcessingError("first")), policy=Policy(fallback=broken))
    assert isinstance(outcome, Failed)
    assert outcome.failure.detail == "first"
    assert journal.records[0].status is StepStatus.FAILED


async def test_messages_reach_the_function_as_messages() -> None:
    @workflow("chat", version="1")
    async def chat(ctx: Context, text: str) -> str:
        def echo(messages: list[dict[str, str]]) -> str:
            return " ".join(f"{turn['role']}: {turn['content']}" for turn in messages)

        turns = [("system", "Be kind."), ("user", text)]
        return await ctx.ask("say", model="m", messages=turns, policy=Policy(fallback=echo))

    found = await run(chat, "hi", replies={"say": ProcessingError("no")})
    assert found == "system: Be kind. user: hi"


async def test_a_stream_goes_on_with_another_model() -> None:
    @workflow("tell", version="1")
    async def tell(ctx: Context, text: str) -> list[str]:
        policy = Policy(tries=1, fallback="large")
        return [piece async for piece in ctx.stream("say", model="m", prompt=text, output=list[str], policy=policy)]

    replies = {"say": [Reply(["a", "b"], cut=TransientError("cut")), Reply(["a", "b", "c"])]}
    assert await run(tell, "x", replies=replies) == ["a", "b", "c"]


async def test_a_step_takes_no_model_as_fallback() -> None:
    outcome, _ = await once(Flaky(), policy=Policy(fallback="large"))
    assert isinstance(outcome, Failed)
    assert "ask a model too" in outcome.failure.detail


@pytest.mark.parametrize("wrong", [{"breaker": ""}, {"breaker": 3}, {"fallback": ""}, {"fallback": 3}])
def test_a_policy_that_names_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Policy\.(breaker|fallback)"):
        Policy(**wrong)


class Crm:
    """A side dish: away until it is `back`."""

    def __init__(self) -> None:
        self.back = False
        self.calls = 0

    async def name_of(self, customer: str) -> str:
        self.calls += 1
        if not self.back:
            raise TransientError("the CRM is away")
        return f"Ms {customer}"


def enriched(crm: Crm, sent: list[str]) -> Any:
    """A workflow with one step that it can do without, and one that depends on it."""

    @workflow("enriched", version="1")
    async def enriched(ctx: Context, customer: str) -> str:
        name = await ctx.enrich("name", crm.name_of, customer, policy=Policy(tries=2, backoff="1ms"))
        letter = await ctx.step("write", write, name)
        await ctx.step("send", sent.append, "once")
        return letter

    async def write(name: str | None) -> str:
        return f"Dear {name or 'customer'}"

    return enriched


async def test_the_output_comes_without_the_enrichment_and_says_so() -> None:
    crm, journal = Crm(), MemoryJournal()
    outcome = await perform(enriched(crm, []), make_run("Ada", journal=journal))
    assert isinstance(outcome, Succeeded)
    assert outcome.output == b'"Dear customer"'
    assert outcome.degraded == ({"step": "name", "reason": "dependency_failed"},)
    assert outcome.incomplete
    assert crm.calls == 2


async def test_a_run_that_goes_on_leaves_it_out_again_without_a_try() -> None:
    crm, journal = Crm(), MemoryJournal()
    await perform(enriched(crm, []), make_run("Ada", journal=journal))
    crm.back = True
    outcome = await perform(enriched(crm, []), make_run("Ada", journal=journal.take_over(), resumed=True))
    assert isinstance(outcome, Succeeded)
    assert (outcome.output, outcome.incomplete, crm.calls) == (b'"Dear customer"', True, 2)


async def test_a_mending_run_tries_it_again_with_what_depends_on_it_and_nothing_else() -> None:
    crm, journal, sent = Crm(), MemoryJournal(), list[str]()
    await perform(enriched(crm, sent), make_run("Ada", journal=journal))
    crm.back = True
    again = make_run("Ada", journal=journal.take_over(), resumed=True, mends=True)
    outcome = await perform(enriched(crm, sent), again)
    assert isinstance(outcome, Succeeded)
    assert (outcome.output, outcome.degraded, outcome.incomplete) == (b'"Dear Ms Ada"', (), False)
    assert sent == ["once"]


async def test_wrong_input_of_an_enrichment_is_not_tried_again() -> None:
    @workflow("bad", version="1")
    async def bad(ctx: Context, _: str) -> str:
        return await ctx.enrich("name", Flaky(InputError("no such customer"))) or "nobody"

    outcome = await perform(bad, make_run("x"))
    assert isinstance(outcome, Succeeded)
    assert outcome.degraded == ({"step": "name", "reason": "input_invalid"},)
    assert not outcome.incomplete


async def test_a_step_and_a_question_that_are_not_critical_give_none() -> None:
    @workflow("extras", version="1")
    async def extras(ctx: Context, _: str) -> list[Any]:
        policy = Policy(critical=False)
        one = await ctx.step("one", Flaky(ProcessingError("no")), key=1, policy=policy)
        two = await ctx.ask("two", model="m", prompt="?", policy=policy)
        three = [piece async for piece in ctx.stream("three", model="m", prompt="?", policy=policy)]
        return [one, two, three]

    outcome = await perform(extras, make_run("x", replies={"two": always_down(), "three": ProcessingError("no")}))
    assert isinstance(outcome, Succeeded)
    assert outcome.output == b"[null,null,[]]"
    assert outcome.degraded == (
        {"step": "one", "key": "1", "reason": "workflow_error"},
        {"step": "two", "reason": "provider_unavailable"},
        {"step": "three", "reason": "workflow_error"},
    )
