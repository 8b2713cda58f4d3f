"""Performing a run: how it ends when the function, its input, its output, the clock or the owner decide."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_current_span
from pydantic import BaseModel, ConfigDict, Field, computed_field

from app.domain import canonical
from app.domain.clock import SYSTEM_CLOCK
from app.domain.errors import ErrorClass, InputError, ProviderAuth
from app.domain.job import Reason
from app.engine.journal import MemoryJournal, OwnershipLost
from app.engine.perform import Failed, Parked, Succeeded, perform
from app.engine.virtual import VirtualClock
from app.telemetry.traces import Tracing
from laneway import Context, SystemFault, TransientError, workflow
from laneway.testing import Reply
from tests.engine.support import START, Flaky, make_run


class Named(BaseModel):
    """Aliases on both sides, and a computed field."""

    model_config = ConfigDict(validate_by_name=True)
    first_name: str = Field(alias="firstName")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def shout(self) -> str:
        """The name, loud."""
        return self.first_name.upper()


class Share(BaseModel):
    """A number with a bound."""

    value: float = Field(le=1)


@workflow("raise-it", version="1")
async def raise_it(ctx: Context, kind: str) -> str:
    """Raises in its own body."""
    raise _errors()[kind]


def _errors() -> dict[str, BaseException]:
    return {
        "input": InputError("bad", code="too_old"),
        "transient": TransientError("busy"),
        "auth": ProviderAuth("key"),
        "bug": ZeroDivisionError("oops"),
        "exit": SystemExit(1),
        "canceled": asyncio.CancelledError(),
    }


@pytest.mark.parametrize(
    ("kind", "error_class", "code"),
    [
        ("input", ErrorClass.INPUT, "too_old"),
        ("transient", ErrorClass.TRANSIENT, "dependency_failed"),
        ("auth", ErrorClass.SYSTEM, "provider_auth"),
        ("bug", ErrorClass.PROCESSING, "workflow_error"),
        ("exit", ErrorClass.PROCESSING, "workflow_error"),
        ("canceled", ErrorClass.PROCESSING, "workflow_error"),
    ],
)
async def test_an_error_in_the_body_fails_the_job(kind: str, error_class: ErrorClass, code: str) -> None:
    outcome = await perform(raise_it, make_run(kind))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.error_class, outcome.failure.code) == (error_class, code)
    assert (outcome.failure.step, outcome.charged, outcome.expired) == (None, True, False)


async def test_a_system_fault_in_the_body_parks() -> None:
    @workflow("house", version="1")
    async def house(ctx: Context, _: str) -> str:
        raise SystemFault("no disk")

    outcome = await perform(house, make_run("x"))
    assert isinstance(outcome, Parked)
    assert (outcome.reason, outcome.charged, outcome.until) == (Reason.SYSTEM, False, START + timedelta(seconds=15))


@pytest.mark.parametrize("stored", [b'{"a":1}', b"7", b"not json", b""])
async def test_a_stored_input_that_does_not_fit_fails(stored: bytes) -> None:
    outcome = await perform(raise_it, make_run(None, input=stored))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.error_class, outcome.failure.code) == (ErrorClass.PROCESSING, "workflow_error")
    assert "stored input" in outcome.failure.detail


@pytest.mark.parametrize("value", [7, None, {"x": 1}])
async def test_an_output_that_does_not_fit_its_annotation_fails(value: Any) -> None:
    @workflow("wrong-output", version="1")
    async def wrong_output(ctx: Context, _: str) -> str:
        return value  # type: ignore[no-any-return]

    outcome = await perform(wrong_output, make_run("x"))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.error_class, outcome.failure.code) == (ErrorClass.PROCESSING, "output_invalid")


@pytest.mark.parametrize("text", ["\ud800", "a\x00b", "", "\U0001f600" * 1000])
async def test_any_text_comes_back_as_it_was_given(text: str) -> None:
    @workflow("echo", version="1")
    async def echo(ctx: Context, given: str) -> dict[str, str]:
        return {"step": await ctx.step("same", str, given), "input": given}

    outcome = await perform(echo, make_run(text))
    assert isinstance(outcome, Succeeded)
    assert canonical.load(outcome.output) == {"step": text, "input": text}


async def test_a_changed_model_is_checked_before_it_leaves() -> None:
    @workflow("changed", version="1")
    async def changed(ctx: Context, _: str) -> Share:
        share = Share(value=1)
        share.value = 2
        return share

    outcome = await perform(changed, make_run("x"))
    assert isinstance(outcome, Failed)
    assert outcome.failure.code == "output_invalid"


async def test_input_is_read_and_output_written_by_alias() -> None:
    @workflow("aliases", version="1")
    async def aliases(ctx: Context, named: Named) -> Named:
        return await ctx.step("same", same, named)

    def same(named: Named) -> Named:
        return named

    for stored in ({"firstName": "Ann"}, {"first_name": "Ann"}):
        outcome = await perform(aliases, make_run(stored))
        assert isinstance(outcome, Succeeded)
        assert outcome.output == b'{"firstName":"Ann","shout":"ANN"}'


async def test_the_author_timeout_is_transient_and_keeps_what_calls_cost() -> None:
    @workflow("slow", version="1", timeout="50ms")
    async def slow(ctx: Context, _: str) -> str:
        async def ask_then_hang() -> str:
            await ctx.ask("q", model="small", prompt="x")
            await asyncio.sleep(30)
            return "never"

        return await ctx.step("hang", ask_then_hang)

    journal = MemoryJournal()
    outcome = await perform(slow, make_run("x", journal=journal, replies={"q": Reply("a", cost_nanos=3)}))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.error_class, outcome.failure.code) == (ErrorClass.TRANSIENT, "run_timeout")
    assert (outcome.expired, outcome.usage.cost_nanos) == (False, 3)
    assert [record.name for record in journal.records] == ["q"]


@pytest.mark.parametrize("left_s", [0.05, 0, -10])
async def test_the_client_deadline_expires_the_job(left_s: float) -> None:
    @workflow("patient", version="1")
    async def patient(ctx: Context, _: str) -> str:
        await ctx.step("hang", asyncio.sleep, 30)
        return "never"

    deadline = SYSTEM_CLOCK.now() + timedelta(seconds=left_s)
    outcome = await perform(patient, make_run("x", clock=SYSTEM_CLOCK, deadline=deadline))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.code, outcome.expired) == ("run_timeout", True)


async def test_the_clock_that_ended_the_run_decides_not_the_one_read_afterwards() -> None:
    """The loop's timer may fire a moment before the wall clock is there: here the wall clock stands still."""

    @workflow("patient", version="1")
    async def patient(ctx: Context, _: str) -> str:
        await ctx.step("hang", asyncio.sleep, 30)
        return "never"

    outcome = await perform(patient, make_run("x", clock=VirtualClock(START), deadline=START + timedelta(seconds=0.05)))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.code, outcome.expired) == ("run_timeout", True)


async def test_a_canceled_run_raises_and_its_account_stays() -> None:
    asked = asyncio.Event()

    @workflow("canceled", version="1")
    async def canceled(ctx: Context, _: str) -> str:
        await ctx.ask("q", model="small", prompt="x")
        asked.set()
        await ctx.step("hang", asyncio.sleep, 30)
        return "never"

    run = make_run("x", replies={"q": Reply("a", cost_nanos=3)})
    task = asyncio.create_task(perform(canceled, run))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (run.account.usage.cost_nanos, run.account.late_calls) == (3, ())


async def test_a_lost_job_raises_and_its_calls_are_late() -> None:
    @workflow("lost", version="1")
    async def lost(ctx: Context, _: str) -> str:
        with contextlib.suppress(Exception):
            await ctx.ask("q", model="small", prompt="x")
        return "done"

    journal = MemoryJournal()
    run = make_run("x", journal=journal, replies={"q": Reply("a", cost_nanos=3)})
    journal.take_over()
    with pytest.raises(OwnershipLost):
        await perform(lost, run)
    assert [call.cost_nanos for call in run.account.late_calls] == [3]
    assert journal.records == []


async def test_a_function_that_swallows_a_suspension_is_found_out() -> None:
    @workflow("swallow", version="1")
    async def swallow(ctx: Context, how: str) -> str:
        try:
            await ctx.sleep("nap", "1h")
        except BaseException:
            if how == "raise":
                raise ValueError("wrapped") from None
        return "went on"

    for how in ("return", "raise"):
        outcome = await perform(swallow, make_run(how))
        assert isinstance(outcome, Failed)
        assert outcome.failure.code == "workflow_error"
        assert "never a bare except" in outcome.failure.detail


async def test_finally_runs_at_each_suspension() -> None:
    ran: list[str] = []

    @workflow("finally", version="1")
    async def with_finally(ctx: Context, _: str) -> str:
        try:
            await ctx.sleep("nap", "1h")
        finally:
            ran.append("finally")
        return "done"

    journal, clock = MemoryJournal(), VirtualClock(START)
    first = await perform(with_finally, make_run("x", journal=journal, clock=clock))
    assert isinstance(first, Parked)
    clock.move_to(first.until)
    assert isinstance(await perform(with_finally, make_run("x", journal=journal, clock=clock, resumed=True)), Succeeded)
    assert ran == ["finally"] * 2


async def test_a_task_group_ends_in_a_clear_failure_not_in_a_dead_worker() -> None:
    @workflow("group", version="1")
    async def group(ctx: Context, how: str) -> str:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ctx.sleep("nap", "1h") if how == "sleep" else ctx.step("bad", Flaky(InputError("no"))))
        return "done"

    asleep = await perform(group, make_run("sleep"))
    assert isinstance(asleep, Failed)
    assert "ctx.gather" in asleep.failure.detail
    failed = await perform(group, make_run("fail"))
    assert isinstance(failed, Failed)
    assert (failed.failure.error_class, failed.failure.detail, failed.failure.step) == (ErrorClass.INPUT, "no", "bad")


async def test_a_task_left_behind_takes_no_more_steps() -> None:
    left: list[asyncio.Task[str]] = []
    go = asyncio.Event()

    @workflow("left-behind", version="1")
    async def left_behind(ctx: Context, _: str) -> str:
        async def later() -> str:
            await go.wait()
            return await ctx.step("late", str, 1)

        left.append(asyncio.create_task(later()))
        return "done"

    journal = MemoryJournal()
    assert isinstance(await perform(left_behind, make_run("x", journal=journal)), Succeeded)
    go.set()
    with pytest.raises(Exception, match="started after the workflow had ended"):
        await left[0]
    assert journal.records == []


async def test_spans_hang_under_the_attempt_and_author_code_runs_within() -> None:
    exporter = InMemorySpanExporter()
    processor = BatchSpanProcessor(exporter)
    inside: list[str] = []

    def note() -> None:
        inside.append(f"{get_current_span().get_span_context().span_id:016x}")

    @workflow("traced", version="1")
    async def traced(ctx: Context, _: str) -> str:
        await ctx.step("note", note)
        await ctx.step("bad", Flaky(TransientError(), InputError("no")), key="k")
        return "done"

    journal = MemoryJournal()
    run = make_run("x", journal=journal, tracing=Tracing(processor, Resource.create({})))
    await perform(traced, run)
    processor.force_flush()
    processor.shutdown()  # type: ignore[no-untyped-call]
    good, bad = exporter.get_finished_spans()
    assert (good.name, bad.name) == ("step note", "step bad")
    for span, record in zip((good, bad), journal.records, strict=True):
        assert span.parent is not None
        assert f"{span.parent.span_id:016x}" == run.trace.span_id
        assert span.context is not None
        assert f"{span.context.span_id:016x}" == record.span_id
        assert f"{span.context.trace_id:032x}" == run.trace.trace_id
    assert inside == [journal.records[0].span_id]
    assert good.attributes is not None
    assert good.attributes["laneway.step"] == "note"
    assert bad.attributes is not None
    assert (bad.attributes["laneway.step"], bad.attributes["laneway.try"]) == ("bad", 2)
    assert (bad.status.status_code, bad.status.description) == (StatusCode.ERROR, "input_invalid")


async def test_a_step_keeps_its_span_over_attempts() -> None:
    @workflow("one-span", version="1")
    async def one_span(ctx: Context, _: str) -> str:
        return await ctx.step("only", flaky)

    flaky, journal, clock = Flaky(TransientError(retry_after_s=30)), MemoryJournal(), VirtualClock(START)
    run = make_run("x", journal=journal, clock=clock)
    parked = await perform(one_span, run)
    assert isinstance(parked, Parked)
    before = journal.records[0]
    clock.move_to(parked.until)
    await perform(one_span, replace(run, resumed=True, attempt=2))
    after = journal.records[0]
    assert (after.span_id, after.started_at) == (before.span_id, before.started_at)
    assert (after.tries, after.attempt) == (2, 2)
    assert after.ended_at > before.ended_at
