"""Children: started once, waited for without a slot, their outcomes recorded in the inputs' order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, Field

from app.domain import canonical, ids
from app.domain.errors import ErrorClass, Failure
from app.domain.job import Reason
from app.domain.step import StepStatus
from app.engine.children import ChildEnd, Declaration, Spawn
from app.engine.journal import MemoryJournal
from app.engine.perform import Failed, Parked, Succeeded, perform
from app.engine.virtual import VirtualClock
from laneway import ChildOutcome, Context, InputError, TransientError, workflow
from laneway.testing import JobFailed, run
from tests.engine.support import START, Flaky, make_run


class Part(BaseModel):
    """What a child is given."""

    n: int = Field(ge=0)
    loud: bool = False


class Done(BaseModel):
    """What a child gives."""

    text: str = Field(alias="theText")
    model_config = {"populate_by_name": True}


@workflow("child", version="3", lane="bulk")
async def child(ctx: Context, part: Part) -> Done:
    """Succeeds for even numbers, after a nap."""
    await ctx.sleep("nap", "1h")
    if part.n % 2:
        raise InputError(f"{part.n} is odd")
    return Done(text=await ctx.step("say", str.upper if part.loud else str, f"part {part.n}"))


@workflow("parent", version="1")
async def parent(ctx: Context, count: int) -> list[str]:
    """Spawns children and says how they ended."""
    outcomes: list[ChildOutcome[Done]] = await ctx.spawn("parts", child, [Part(n=n) for n in range(count)])
    return [f"{one.status} {one.output.text if one.output else one.error and one.error.detail}" for one in outcomes]


class Nursery:
    """Children whose ends the test decides."""

    def __init__(self) -> None:
        self.spawns: list[Spawn] = []
        self.open: set[str] = set()

    def declared(self, workflow: str) -> Declaration[Any, Any]:
        assert workflow == "child"
        return child

    async def ends(self, spawn: Spawn) -> list[ChildEnd] | None:
        self.spawns.append(spawn)
        if spawn.name in self.open:
            return None
        return [ChildEnd("succeeded", ids.uuid7(), output=b'{"theText":"x"}') for _ in spawn.inputs]


async def test_outcomes_come_in_the_order_of_the_inputs() -> None:
    assert await run(parent, 3) == ["succeeded part 0", "failed 1 is odd", "succeeded part 2"]


async def test_nothing_to_spawn_is_no_wait() -> None:
    outcome = await perform(parent, make_run(0, children=Nursery()))
    assert isinstance(outcome, Succeeded)
    assert outcome.output == b"[]"


async def test_a_parent_waits_without_a_slot_and_its_step_lasts_over_the_runs() -> None:
    nursery, journal, clock = Nursery(), MemoryJournal(), VirtualClock(START)
    nursery.open.add("parts")
    first = await perform(parent, make_run(2, journal=journal, clock=clock, children=nursery))
    assert isinstance(first, Parked)
    assert (first.reason, first.charged, first.until) == (Reason.CHILDREN, False, START + timedelta(seconds=60))
    (begun,) = journal.records
    assert (begun.kind, begun.status, begun.tries, begun.output) == ("spawn", StepStatus.RETRYING, 0, None)
    clock.move_to(START + timedelta(seconds=5))
    nursery.open.clear()
    second = await perform(parent, make_run(2, journal=journal, clock=clock, children=nursery, resumed=True))
    assert isinstance(second, Succeeded)
    (ended,) = journal.records
    assert (ended.status, ended.tries, ended.started_at, ended.span_id) == (
        StepStatus.SUCCEEDED, 1, begun.started_at, begun.span_id,
    )  # fmt: skip
    assert ended.ended_at - ended.started_at == timedelta(seconds=5)
    assert [spawn.trace.span_id for spawn in nursery.spawns] == [ended.span_id] * 2
    assert nursery.spawns[0].digest == nursery.spawns[1].digest
    third = await perform(parent, make_run(2, journal=journal, clock=clock, resumed=True, children=nursery))
    assert isinstance(third, Succeeded)
    assert (third.output, len(nursery.spawns)) == (second.output, 2)


async def test_outcomes_are_typed_in_every_run() -> None:
    seen: list[Any] = []

    @workflow("typed", version="1")
    async def typed(ctx: Context, _: str) -> int:
        outcomes = await ctx.spawn("parts", child, [{"n": 2, "loud": True}, Part(n=1)])
        seen.append(outcomes)
        return len(outcomes)

    journal = MemoryJournal()
    assert await run(typed, "x", journal=journal) == 2
    assert await run(typed, "x", journal=journal) == 2
    assert seen[0] == seen[1]
    good, bad = seen[0]
    assert (good.status, good.output, good.error) == ("succeeded", Done(text="PART 2"), None)
    assert (bad.status, bad.output) == ("failed", None)
    assert bad.error == Failure(ErrorClass.INPUT, "input_invalid", "1 is odd", None)


async def test_a_name_will_do_and_gives_plain_json() -> None:
    @workflow("by-name", version="1")
    async def by_name(ctx: Context, _: str) -> Any | None:
        (one,) = await ctx.spawn("parts", "child", [{"n": 4}])
        return one.output

    assert await run(by_name, "x", workflows=[child]) == {"theText": "part 4"}
    with pytest.raises(JobFailed, match=r"no workflow 'child'.*workflows=\[\.\.\.\]"):
        await run(by_name, "x")


@pytest.mark.parametrize("wrong", [{"n": -1}, {"n": 1, "m": 2}, {}, Done(text="x"), "x"])
async def test_a_wrong_input_starts_no_child_at_all(wrong: Any) -> None:
    @workflow("wrong-input", version="1")
    async def wrong_input(ctx: Context, _: str) -> None:
        await ctx.spawn("parts", child, [Part(n=1), wrong])

    nursery, journal = Nursery(), MemoryJournal()
    outcome = await perform(wrong_input, make_run("x", children=nursery, journal=journal))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.code, outcome.failure.step) == ("workflow_error", "parts")
    assert "gives workflow 'child' a wrong input at place 1" in outcome.failure.detail
    assert (nursery.spawns, journal.records) == ([], [])


async def test_other_inputs_in_a_later_run_are_a_mismatch_at_once() -> None:
    given = [1, 2]

    @workflow("changing", version="1")
    async def changing(ctx: Context, _: str) -> None:
        await ctx.spawn("parts", child, [Part(n=n) for n in given])

    nursery, journal = Nursery(), MemoryJournal()
    nursery.open.add("parts")
    assert isinstance(await perform(changing, make_run("x", children=nursery, journal=journal)), Parked)
    given.append(3)
    outcome = await perform(changing, make_run("x", children=nursery, journal=journal, resumed=True))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.code, len(nursery.spawns)) == ("replay_mismatch", 1)


async def test_an_output_that_does_not_fit_is_told() -> None:
    class Odd(Nursery):
        async def ends(self, spawn: Spawn) -> list[ChildEnd] | None:
            return [ChildEnd("succeeded", ids.uuid7(), output=b'{"other":1}')]

    outcome = await perform(parent, make_run(1, children=Odd()))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.code, outcome.failure.step) == ("output_invalid", "parts")


async def test_too_many_children_and_what_is_no_workflow_are_clear_errors() -> None:
    @workflow("too-much", version="1")
    async def too_much(ctx: Context, count: int) -> None:
        await ctx.spawn("parts", child if count else len, [Part(n=1)] * count)  # type: ignore[arg-type]

    with pytest.raises(JobFailed, match=r"starts 10001 children: 10000 at most"):
        await run(too_much, 10_001)
    with pytest.raises(JobFailed, match=r"spawns <built-in function len>: give a workflow"):
        await run(too_much, 0)
    outcome = await perform(parent, make_run(1))
    assert isinstance(outcome, Failed)
    assert "can't start children here" in outcome.failure.detail


async def test_children_may_have_children() -> None:
    @workflow("middle", version="1")
    async def middle(ctx: Context, part: Part) -> list[str]:
        return [one.status for one in await ctx.spawn("parts", child, [Part(n=n) for n in range(part.n)])]

    @workflow("top", version="1")
    async def top(ctx: Context, _: str) -> list[list[str] | None]:
        return [one.output for one in await ctx.spawn("middles", middle, [Part(n=1), Part(n=2)])]

    assert await run(top, "x") == [["succeeded"], ["succeeded", "failed"]]


async def gathered(ctx: Context, *names: str, nap: str) -> list[str]:
    """Branches that spawn and then take a step, and one that sleeps."""
    done: list[str] = []

    async def family(name: str) -> None:
        await ctx.spawn(name, child, [Part(n=2)])
        done.append(await ctx.step("after", str, name, key=name))

    await ctx.gather(*(family(name) for name in names), ctx.sleep("nap", nap))
    return sorted(done)


@pytest.mark.parametrize("nap", ["30s", "1h"])
async def test_a_gather_with_children_and_a_sleep_waits_for_either(nap: str) -> None:
    @workflow("mixed", version="1")
    async def mixed(ctx: Context, _: str) -> list[str]:
        return await gathered(ctx, "a", "b", nap=nap)

    nursery, journal, clock = Nursery(), MemoryJournal(), VirtualClock(START)
    nursery.open |= {"a", "b"}

    async def once(resumed: bool = True) -> Any:
        return await perform(mixed, make_run("x", children=nursery, journal=journal, clock=clock, resumed=resumed))

    parked = await once(resumed=False)
    assert (parked.reason, parked.until - START) == (Reason.CHILDREN, timedelta(seconds=30 if nap == "30s" else 60))
    nursery.open.remove("a")
    parked = await once()
    assert (parked.reason, [record.name for record in journal.records if record.name == "after"]) == (
        Reason.CHILDREN, ["after"],
    )  # fmt: skip
    nursery.open.clear()
    parked = await once()
    assert (parked.reason, parked.until - START) == (Reason.SLEEP, timedelta(seconds=30 if nap == "30s" else 3600))
    clock.move_to(parked.until)
    ended = await once()
    assert isinstance(ended, Succeeded)
    assert canonical.load(ended.output) == ["a", "b"]


async def test_a_charged_retry_beside_children_stays_charged() -> None:
    @workflow("flaky-beside", version="1")
    async def flaky_beside(ctx: Context, _: str) -> None:
        await ctx.gather(ctx.spawn("a", child, [Part(n=2)]), ctx.step("flaky", flaky))

    flaky, nursery = Flaky(TransientError(retry_after_s=30)), Nursery()
    nursery.open.add("a")
    outcome = await perform(flaky_beside, make_run("x", children=nursery))
    assert isinstance(outcome, Parked)
    assert (outcome.reason, outcome.charged) == (Reason.CHILDREN, True)
    assert outcome.failure is not None
    assert outcome.failure.step == "flaky"
    assert timedelta(seconds=30) <= outcome.until - START <= timedelta(seconds=31)


async def test_time_in_a_test_moves_by_what_the_children_slept() -> None:
    journal = MemoryJournal()
    await run(parent, 2, journal=journal, at=START)
    (record,) = journal.records
    assert record.ended_at - record.started_at == timedelta(hours=2)
