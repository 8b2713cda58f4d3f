"""Model steps: what is sent, what is accepted, how an unfit answer is repaired, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from app.domain.call import Call
from app.domain.errors import InputError, MustWait, ProviderAuth, RateLimited
from app.domain.job import Reason
from app.domain.step import StepStatus, StepWrite
from app.engine.journal import MemoryJournal
from app.engine.perform import Failed, Parked, Succeeded, perform
from app.engine.replies import ScriptedGateway
from app.engine.virtual import VirtualClock
from app.engine.workflow import Workflow
from app.gateway.calls.request import Message, ModelAnswer, ModelRequest
from laneway import Context, Policy, TransientError, workflow
from laneway.testing import JobFailed, MissingReply, Reply, run
from tests.engine.support import PROJECT, START, make_run


class Answer(BaseModel):
    """What the model should give."""

    label: Literal["yes", "no"]
    score: Annotated[float, Field(ge=0, le=1)] = 0.5


GOOD = {"label": "yes", "score": 0.25}


class ListeningGateway(ScriptedGateway):
    """The script's gateway, which keeps what it was asked."""

    def __init__(self, replies: Any, clock: VirtualClock | None = None) -> None:
        super().__init__(replies, clock or VirtualClock(START))
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest, record: Callable[[Call], None]) -> ModelAnswer:
        self.requests.append(request)
        return await super().complete(request, record)


@workflow("one-ask", version="1")
async def one_ask(ctx: Context, question: str) -> Answer:
    """Asks once."""
    return await ctx.ask("q", model="small", prompt=question, output=Answer, policy=Policy(timeout="7s"))


@workflow("free-text", version="1")
async def free_text(ctx: Context, question: str) -> str:
    """Asks for text."""
    return await ctx.ask("q", model="large", messages=[("system", "Be brief."), {"role": "user", "content": question}])


async def failure_of(flow: Workflow[str, Any], replies: Any) -> Any:
    """How the job fails."""
    with pytest.raises(JobFailed) as caught:
        await run(flow, "why?", replies=replies)
    return caught.value.failure


async def test_a_later_try_asks_for_the_place_of_the_first() -> None:
    clock = VirtualClock(START)
    gateway = ListeningGateway({"q": [TransientError("busy"), GOOD]}, clock)
    assert isinstance(await perform(one_ask, make_run("why?", gateway=gateway, clock=clock)), Succeeded)
    assert [(one.since, one.again) for one in gateway.requests] == [(START, False), (START, True)]
    assert clock.now() > START, "it backed off"


async def test_the_request_says_all_that_the_gateway_needs() -> None:
    gateway, journal = ListeningGateway({"q": GOOD}), MemoryJournal()
    given = make_run("why?", gateway=gateway, journal=journal, lane="bulk", test_mode=True)
    assert isinstance(await perform(one_ask, given), Succeeded)
    (request,) = gateway.requests
    assert request.alias == "small"
    assert request.messages == (Message("user", "why?"),)
    assert (request.schema_name, request.timeout_s, request.max_output_tokens) == ("Answer", 7.0, None)
    assert (request.job_id, request.project_id) == (given.job_id, PROJECT)
    assert (request.lane, request.test_mode) == ("bulk", True)
    assert request.trace.trace_id == given.trace.trace_id
    assert request.trace.parent_span_id == given.trace.span_id
    assert request.trace.span_id == journal.records[0].span_id
    assert request.schema == {
        "type": "object",
        "properties": {
            "label": {"enum": ["yes", "no"], "type": "string"},
            "score": {"maximum": 1, "minimum": 0, "type": "number"},
        },
        "required": ["label", "score"],
        "additionalProperties": False,
        "description": "What the model should give.",
    }


async def test_plain_text_is_asked_for_without_a_schema() -> None:
    gateway = ListeningGateway({"q": "  because\n"})
    outcome = await perform(free_text, make_run("why?", gateway=gateway))
    assert isinstance(outcome, Succeeded)
    assert outcome.output == b'"  because\\n"'
    assert gateway.requests[0].schema is None
    assert gateway.requests[0].messages == (Message("system", "Be brief."), Message("user", "why?"))


async def test_the_answer_and_its_call_are_one_record() -> None:
    journal = MemoryJournal()
    outcome = await perform(one_ask, make_run("x", journal=journal, replies={"q": Reply(GOOD, cost_nanos=70)}))
    assert isinstance(outcome, Succeeded)
    assert (outcome.usage.calls, outcome.usage.cost_nanos, outcome.late_calls) == (1, 70, ())
    assert journal.records[0].output == b'{"label":"yes","score":0.25}'
    assert [call.cost_nanos for call in journal.calls] == [70]


@pytest.mark.parametrize("wrapped", ['```json\n{"label":"no"}\n```', ' {"label":"no"} ', "```\n{'label'}\n```"])
async def test_code_fences_are_no_error(wrapped: str) -> None:
    found = await run(one_ask, "x", replies={"q": [wrapped, {"label": "no"}]})
    assert found == Answer(label="no")


UNFIT = [
    Reply("no JSON at all"),
    Reply({"label": "maybe"}),
    Reply({"label": "yes", "score": 7}),
    Reply(["yes"]),
    Reply(GOOD, finish_reason="length"),
    Reply('{"label":"yes","score":NaN}'),
    Reply('{"label":"\\ud800"}'),
    Reply(""),
]


@pytest.mark.parametrize("unfit", UNFIT)
async def test_an_unfit_answer_is_repaired_within_its_try(unfit: Reply) -> None:
    gateway, journal = ListeningGateway({"q": [unfit, unfit, GOOD]}), MemoryJournal()
    outcome = await perform(one_ask, make_run("why?", gateway=gateway, journal=journal))
    assert isinstance(outcome, Succeeded)
    assert (journal.records[0].tries, len(journal.calls), outcome.usage.calls) == (1, 3, 3)
    first, second, third = gateway.requests
    assert [message.role for message in second.messages] == ["user", "assistant", "user"]
    assert second.messages[0] == first.messages[0]
    assert "can't be used" in second.messages[2].content
    assert len(third.messages) == 3
    assert len({request.idempotency_key for request in gateway.requests}) == 3


async def test_two_repairs_are_all() -> None:
    journal = MemoryJournal()
    outcome = await perform(one_ask, make_run("x", journal=journal, replies={"q": {"label": "maybe"}}))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.code, outcome.failure.step) == ("output_invalid", "q")
    assert "label: Input should be 'yes' or 'no'" in outcome.failure.detail
    assert (journal.records[0].status, len(journal.calls)) == (StepStatus.FAILED, 3)
    assert outcome.late_calls == () and {call.outcome for call in journal.calls} == {"invalid"}


async def test_a_cut_off_text_is_not_accepted_either() -> None:
    assert (await failure_of(free_text, {"q": Reply("half a sent", "length")})).code == "output_invalid"
    assert await run(free_text, "x", replies={"q": [Reply("half a", "length"), "whole"]}) == "whole"


async def test_a_filtered_answer_fails_at_once() -> None:
    assert (await failure_of(free_text, {"q": [Reply("", "content_filter")]})).code == "provider_refused"


async def test_tries_and_repairs_are_counted_apart() -> None:
    journal = MemoryJournal()
    replies = {"q": [TransientError("503"), "unfit", TransientError("503"), "unfit", "unfit", GOOD]}
    assert await run(one_ask, "x", replies=replies, journal=journal) == Answer(**GOOD)
    assert (journal.records[0].tries, len(journal.calls)) == (3, 6)
    assert [call.outcome for call in journal.calls] == [
        "failed",
        "invalid",
        "failed",
        "invalid",
        "invalid",
        "succeeded",
    ]


async def test_each_write_carries_the_calls_of_its_own_try() -> None:
    class Counted(MemoryJournal):
        def __init__(self) -> None:
            super().__init__()
            self.written: list[int] = []

        async def write(self, write: StepWrite) -> None:
            self.written.append(len(write.calls))
            await super().write(write)

    journal = Counted()
    replies = {"q": [TransientError("503", retry_after_s=0), "unfit", GOOD]}
    assert isinstance(await perform(one_ask, make_run("x", journal=journal, replies=replies)), Succeeded)
    assert journal.written == [1, 2]


async def test_an_answer_that_is_no_number_is_unfit() -> None:
    class Weight(BaseModel):
        grams: float

    @workflow("weigh", version="1")
    async def weigh(ctx: Context, _: str) -> float:
        return (await ctx.ask("q", model="small", prompt="x", output=Weight)).grams

    assert await run(weigh, "x", replies={"q": ['{"grams":NaN}', '{"grams":1e999}', '{"grams":12}']}) == 12


async def test_a_try_keeps_its_idempotency_key() -> None:
    gateway = ListeningGateway({"q": [TransientError("503"), GOOD]})
    given = make_run("x", gateway=gateway, clock=VirtualClock(START))
    await perform(one_ask, given)
    assert len({request.idempotency_key for request in gateway.requests}) == 1


@pytest.mark.parametrize(("error", "code"), [(InputError("long"), "input_invalid"), (ProviderAuth(), "provider_auth")])
async def test_what_no_try_mends_fails_at_once(error: Exception, code: str) -> None:
    assert (await failure_of(one_ask, {"q": [error]})).code == code


async def test_calls_of_a_step_that_must_wait_are_late_calls() -> None:
    replies = {"q": [Reply(RateLimited(retry_after_s=30), cost_nanos=5)]}
    outcome = await perform(one_ask, make_run("x", replies=replies))
    assert isinstance(outcome, Parked)
    assert (outcome.reason, outcome.charged, outcome.usage.calls) == (Reason.RATE_LIMIT, False, 1)
    assert [call.cost_nanos for call in outcome.late_calls] == [5]


async def test_calls_of_short_rate_limits_go_with_the_record() -> None:
    journal = MemoryJournal()
    outcome = await perform(
        one_ask, make_run("x", journal=journal, replies={"q": [RateLimited(retry_after_s=0), GOOD]})
    )
    assert isinstance(outcome, Succeeded)
    assert (len(journal.calls), journal.records[0].tries, outcome.late_calls) == (2, 1, ())


async def test_the_gateway_may_make_the_job_wait() -> None:
    clock = VirtualClock(START)
    until = START.replace(hour=1)
    outcome = await perform(one_ask, make_run("x", clock=clock, replies={"q": [MustWait("rate_limit", until)]}))
    assert isinstance(outcome, Parked)
    assert (outcome.reason, outcome.until) == (Reason.RATE_LIMIT, until)


async def test_the_cost_cap_stops_the_next_call() -> None:
    @workflow("dear", version="1", max_cost_usd="0.000000100")
    async def dear(ctx: Context, n: int) -> list[str]:
        return [await ctx.ask(f"q{i}", model="small", prompt="x") for i in range(n)]

    replies = {f"q{i}": Reply("a", cost_nanos=50) for i in range(9)}
    outcome = await perform(dear, make_run(9, replies=replies))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.code, outcome.failure.step, outcome.usage.cost_nanos) == ("cost_cap_reached", "q2", 100)
    outcome = await perform(dear, make_run(9, replies=replies, max_cost_nanos=40))
    assert isinstance(outcome, Failed)
    assert outcome.usage.cost_nanos == 50


async def test_what_earlier_runs_cost_counts_for_the_cap() -> None:
    first = await perform(one_ask, make_run("x", replies={"q": Reply(GOOD, cost_nanos=100)}))
    given = make_run("x", replies={"q": GOOD}, usage=first.usage, max_cost_nanos=100)
    outcome = await perform(one_ask, given)
    assert isinstance(outcome, Failed)
    assert outcome.usage.calls == 0


async def test_other_words_than_the_recorded_ones_are_refused() -> None:
    journal = MemoryJournal()
    await perform(one_ask, make_run("x", journal=journal, replies={"q": GOOD}))
    outcome = await perform(one_ask, make_run("y", journal=journal, resumed=True))
    assert isinstance(outcome, Failed)
    assert outcome.failure.code == "replay_mismatch"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "either prompt= or messages="),
        ({"prompt": "a", "messages": [("user", "b")]}, "either prompt= or messages="),
        ({"messages": []}, "is empty"),
        ({"messages": [("robot", "b")]}, "not role 'robot'"),
        ({"prompt": "a", "output": list[int]}, "is no object"),
        ({"prompt": "a", "output": MemoryJournal}, "can't be had"),
    ],
)
async def test_wrong_questions_are_clear_errors(arguments: dict[str, Any], text: str) -> None:
    @workflow("wrong-ask", version="1")
    async def wrong_ask(ctx: Context, _: str) -> str:
        return str(await ctx.ask("q", model="small", **arguments))

    assert text in (await failure_of(wrong_ask, {})).detail


async def test_a_missing_reply_names_the_step() -> None:
    with pytest.raises(MissingReply, match=r"step 'q' asks a model: give it a reply, replies=\{'q': "):
        await run(one_ask, "x")
    with pytest.raises(MissingReply, match="asks once more than"):
        await run(one_ask, "x", replies={"q": ["unfit"]})


async def test_replies_may_be_told_apart_by_key() -> None:
    @workflow("by-key", version="1")
    async def by_key(ctx: Context, words: list[str]) -> list[str]:
        return list(await ctx.gather(*[ctx.ask("q", model="small", prompt=word, key=word) for word in words]))

    replies = {("q", "a"): "one", "q": "other"}
    assert await run(by_key, ["a", "b"], replies=replies) == ["one", "other"]


async def test_nested_models_and_aliases_fit() -> None:
    class Part(BaseModel):
        model_config = ConfigDict(extra="forbid")
        word_count: Annotated[int, Field(alias="wordCount")]

    class Whole(BaseModel):
        parts: list[Part]
        note: str | None = None

    @workflow("nested-answer", version="1")
    async def nested_answer(ctx: Context, _: str) -> list[int]:
        whole = await ctx.ask("q", model="small", prompt="x", output=Whole)
        return [part.word_count for part in whole.parts]

    gateway = ListeningGateway({"q": {"parts": [{"wordCount": 3}], "note": None}})
    outcome = await perform(nested_answer, make_run("x", gateway=gateway))
    assert isinstance(outcome, Succeeded)
    assert outcome.output == b"[3]"
    schema = gateway.requests[0].schema
    assert schema is not None
    assert schema["required"] == ["parts", "note"]
    assert schema["$defs"]["Part"]["required"] == ["wordCount"]
