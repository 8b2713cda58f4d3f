"""Streams: items while the answer is written, each once; only the whole answer is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field

from app.domain import canonical
from app.domain.call import Call, CallOutcome
from app.engine.journal import MemoryJournal, OwnershipLost
from app.engine.outcome import Outcome
from app.engine.perform import Failed, Parked, Succeeded, perform
from app.engine.replies import ScriptedGateway
from app.engine.virtual import VirtualClock
from app.gateway.calls.request import ModelAnswer, ModelRequest
from laneway import Context, Policy, TransientError, workflow
from laneway.testing import JobFailed, Reply, run
from tests.engine.support import START, Flaky, make_run


class Finding(BaseModel):
    """One element of a streamed list."""

    title: str
    weight: int = Field(default=1, le=9)


A, B, C = ({"title": name, "weight": 1} for name in "abc")
QUICK = Policy(backoff="1ms")


@workflow("findings", version="1")
async def findings(ctx: Context, _: str) -> list[str]:
    """Takes a step on each finding."""
    found: list[str] = []
    async for one in ctx.stream("find", model="small", prompt="x", output=list[Finding], policy=QUICK):
        found.append(await ctx.step("shout", str.upper, one.title, key=one.title))
    return found


@workflow("says", version="1")
async def says(ctx: Context, _: str) -> list[str]:
    """The pieces of a text."""
    return [piece async for piece in ctx.stream("say", model="small", prompt="x", policy=QUICK)]


async def results(flow: Any, replies: Any, **more: Any) -> tuple[Any, list[tuple[str, Any]]]:
    """The output, and what streaming clients were sent."""
    sent: list[tuple[str, Any]] = []
    return await run(flow, "x", replies=replies, deltas=sent, **more), sent


def put_together(sent: list[tuple[str, Any]]) -> str:
    """The text of these pieces, all of one answer, each behind the one before it."""
    text = ""
    for kind, data in sent:
        assert (kind, data["answer"], data["at"]) == ("piece", sent[0][1]["answer"], len(text))
        text += data["text"]
    return text


async def test_steps_start_before_the_answer_is_whole() -> None:
    """The model writes on only once a step was taken on its first element."""
    stepped = asyncio.Event()
    journal = MemoryJournal()

    class Patient(ScriptedGateway):
        async def complete(
            self, request: ModelRequest, record: Callable[[Call], None], on_text: Callable[[str], None] | None = None
        ) -> ModelAnswer:
            assert on_text is not None
            on_text('{"items": [{"title": "a"}, ')
            async with asyncio.timeout(5):
                await stepped.wait()
            on_text('{"title": "b"}]}')
            return ModelAnswer('{"items": [{"title": "a"}, {"title": "b"}]}', "stop")

    @workflow("early", version="1")
    async def early(ctx: Context, _: str) -> list[str]:
        async def step(title: str) -> str:
            stepped.set()
            return title

        stream = ctx.stream("find", model="small", prompt="x", output=list[Finding])
        return [await ctx.step("take", step, one.title, key=one.title) async for one in stream]

    clock = VirtualClock(START)
    outcome = await perform(early, make_run("x", journal=journal, clock=clock, gateway=Patient({}, clock)))
    assert isinstance(outcome, Succeeded)
    assert outcome.output == b'["a","b"]'
    assert {(record.name, record.key): record.kind for record in journal.records} == {
        ("take", "a"): "step", ("take", "b"): "step", ("find", ""): "stream",
    }  # fmt: skip


@pytest.mark.parametrize(
    "answer", [{"items": [A, B]}, [A, B], '```json\n{"items": [{"title": "a"}, {"title": "b"}]}\n```']
)
async def test_a_list_comes_in_an_object_or_bare(answer: Any) -> None:
    output, sent = await results(findings, {"find": Reply(answer)})
    assert output == ["A", "B"]
    assert {kind for kind, _ in sent} == {"piece"}
    assert put_together(sent) == (answer if isinstance(answer, str) else canonical.dump(answer).decode())
    assert {data["step"] for _, data in sent} == {"find"}


async def test_text_comes_in_pieces_and_later_as_one() -> None:
    journal = MemoryJournal()
    first, sent = await results(says, {"say": "good morning"}, journal=journal)
    assert first == ["good ", "morni", "ng"]
    assert [data["text"] for _, data in sent] == first
    again, sent = await results(says, {}, journal=journal)
    assert (again, sent) == (["good morning"], [])


async def test_a_later_run_gets_the_recorded_items_and_calls_nobody() -> None:
    @workflow("then-sleep", version="1")
    async def then_sleep(ctx: Context, _: str) -> list[str]:
        found = [one.title async for one in ctx.stream("find", model="small", prompt="x", output=list[Finding])]
        await ctx.sleep("nap", "1h")
        return found

    journal = MemoryJournal()
    output, sent = await results(then_sleep, {"find": [Reply([A, C])]}, journal=journal)
    assert output == ["a", "c"]
    assert len(journal.calls) == 1
    assert [kind for kind, _ in sent].count("reset") == 0


async def test_after_a_cut_no_item_comes_twice() -> None:
    journal, clock = MemoryJournal(), VirtualClock(START)
    sent: list[tuple[str, Any]] = []
    yielded: list[str] = []

    @workflow("cut", version="1")
    async def cut(ctx: Context, _: str) -> None:
        async for one in ctx.stream("find", model="small", prompt="x", output=list[Finding], policy=QUICK):
            yielded.append(one.title)

    replies = {"find": [Reply([A, A, B, C], cut=TransientError("cut")), Reply([A, A, B, C])]}
    one = make_run(
        "x", journal=journal, clock=clock, replies=replies, on_delta=lambda kind, data: sent.append((kind, data))
    )
    assert isinstance(await perform(cut, one), Succeeded)
    assert yielded == ["a", "a", "b", "c"]
    kinds = [kind for kind, _ in sent]
    assert kinds.count("reset") == 1
    reset = kinds.index("reset")
    void, told = sent[0][1]["answer"], sent[-1][1]["answer"]
    assert sent[reset] == ("reset", {"step": "find", "key": None, "answer": void})
    assert void != told
    assert put_together(sent[reset + 1 :]) == canonical.dump([A, A, B, C]).decode()
    assert [call.outcome for call in journal.calls] == [CallOutcome.FAILED, CallOutcome.SUCCEEDED]


async def test_an_answer_that_differs_after_a_cut_is_what_the_job_sees() -> None:
    """What the record says is what the output is made of, as it would be after a crash."""
    journal = MemoryJournal()
    replies = {"find": [Reply([A, B, C], cut=TransientError("cut")), Reply([C, B])]}
    output, _ = await results(findings, replies, journal=journal)
    assert output == ["C", "B"]
    assert len(journal.calls) == 2


async def test_a_text_that_goes_on_after_a_cut_is_not_repeated() -> None:
    cut = TransientError("cut")
    output, sent = await results(says, {"say": [Reply("hello world", cut=cut), "hello world"]})
    assert output == ["hello", " worl", "d"]
    assert [kind for kind, _ in sent].count("reset") == 1
    output, _ = await results(says, {"say": [Reply("hello world", cut=cut), "help is near"]})
    assert output == ["help is near"]


async def test_an_unfit_answer_is_repaired_and_told_as_a_reset() -> None:
    wrong = [A, {"title": "b", "weight": 10}]
    output, sent = await results(findings, {"find": [Reply(wrong), Reply([A, B])]})
    assert output == ["A", "B"]
    assert [kind for kind, _ in sent].count("reset") == 1


@pytest.mark.parametrize("answer", ["no list", {"things": []}, [{"title": 7}], '{"items": [{"title": "a"}'])
async def test_an_answer_that_never_fits_fails(answer: Any) -> None:
    with pytest.raises(JobFailed) as caught:
        await run(findings, "x", replies={"find": Reply(answer)})
    assert (caught.value.failure.code, caught.value.failure.step) == ("output_invalid", "find")


async def test_what_cannot_be_streamed_is_refused() -> None:
    @workflow("streams-a-model", version="1")
    async def streams_a_model(ctx: Context, _: str) -> None:
        async for _one in ctx.stream("find", model="small", prompt="x", output=Finding):  # type: ignore[arg-type]
            pass

    with pytest.raises(JobFailed, match=r"step 'find' asks for an output .* neither str nor a list"):
        await run(streams_a_model, "x")


async def test_a_wait_in_the_loop_lets_the_answer_come_to_its_end() -> None:
    """Else it would be asked, and paid for, again."""

    @workflow("naps-in-loop", version="1")
    async def naps_in_loop(ctx: Context, _: str) -> list[str]:
        found = []
        async for one in ctx.stream("find", model="small", prompt="x", output=list[Finding]):
            await ctx.sleep(f"nap {one.title}", "1h")
            found.append(one.title)
        return found

    journal = MemoryJournal()
    assert (await results(naps_in_loop, {"find": [Reply([A, B, C])]}, journal=journal))[0] == ["a", "b", "c"]
    assert [call.outcome for call in journal.calls] == [CallOutcome.SUCCEEDED]


class Endless(ScriptedGateway):
    """Writes one element, and then nothing more; it records its call when it is left."""

    async def complete(
        self, request: ModelRequest, record: Callable[[Call], None], on_text: Callable[[str], None] | None = None
    ) -> ModelAnswer:
        assert on_text is not None
        on_text('{"items": [{"title": "a"}, ')
        try:
            await asyncio.sleep(3600)
        finally:
            record(self._call(request, CallOutcome.FAILED, Reply("", cost_nanos=5)))
        raise AssertionError


async def first_and_away(fn: Any, **changes: Any) -> tuple[Outcome, Any]:
    clock = VirtualClock(START)
    one = make_run("x", clock=clock, gateway=Endless({}, clock), **changes)
    return await perform(fn, one), one


async def test_a_stream_that_is_left_is_canceled_and_accounted_for() -> None:
    @workflow("leaves", version="1")
    async def leaves(ctx: Context, _: str) -> str:
        async for one in ctx.stream("find", model="small", prompt="x", output=list[Finding]):
            return one.title
        return "none"

    outcome, one = await first_and_away(leaves)
    assert isinstance(outcome, Succeeded)
    assert (outcome.usage.cost_nanos, len(outcome.late_calls)) == (5, 1)
    assert one.journal.records == []


async def test_a_stream_can_be_closed() -> None:
    @workflow("closes", version="1")
    async def closes(ctx: Context, _: str) -> int:
        stream = ctx.stream("find", model="small", prompt="x", output=list[Finding])
        assert (await anext(stream)).title == "a"
        await stream.aclose()
        return len([one async for one in stream])

    outcome, one = await first_and_away(closes)
    assert isinstance(outcome, Succeeded)
    assert (outcome.output, one.account.usage.calls) == (b"0", 1)


async def test_a_cancel_in_mid_stream_is_accounted_for() -> None:
    clock = VirtualClock(START)
    one = make_run("x", clock=clock, gateway=Endless({}, clock))
    task = asyncio.create_task(perform(findings, one))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert one.account.usage.cost_nanos == 5


async def test_a_lost_job_loses_its_stream() -> None:
    journal = MemoryJournal()
    one = make_run("x", journal=journal, replies={"find": Reply([A])})
    journal.take_over()
    with pytest.raises(OwnershipLost):
        await perform(findings, one)


async def test_a_stream_that_must_wait_parks_the_job() -> None:
    again = TransientError("later", retry_after_s=60)
    replies = {"find": [Reply([A, B], cut=again), Reply([A, B])]}
    journal = MemoryJournal()
    outcome = await perform(findings, make_run("x", journal=journal, replies=replies))
    assert isinstance(outcome, Parked)
    assert outcome.charged
    assert (await results(findings, {"find": Reply([A, B])}, journal=journal))[0] == ["A", "B"]


async def test_streams_at_once() -> None:
    @workflow("two-streams", version="1")
    async def two_streams(ctx: Context, _: str) -> list[list[str]]:
        async def titles(key: str) -> list[str]:
            stream = ctx.stream("find", model="small", prompt=key, output=list[Finding], key=key)
            return [one.title async for one in stream]

        return list(await ctx.gather(titles("left"), titles("right"), ctx.step("other", Flaky())))[:2]

    replies = {("find", "left"): Reply([A, B]), ("find", "right"): Reply([C])}
    assert (await results(two_streams, replies))[0] == [["a", "b"], ["c"]]


async def test_the_same_stream_twice_is_an_error() -> None:
    @workflow("twice", version="1")
    async def twice(ctx: Context, _: str) -> None:
        for _n in range(2):
            async for _one in ctx.stream("say", model="small", prompt="x"):
                pass

    outcome = await perform(twice, make_run("x", replies={"say": "a"}))
    assert isinstance(outcome, Failed)
    assert "is there twice" in outcome.failure.detail
