"""Replay, as properties: a crash anywhere changes no result and runs no finished step again; bounds of back-off."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import canonical
from app.domain.step import StepRecord, StepStatus, StepWrite
from app.engine.backoff import LONGEST_FLOOR_S, LONGEST_S, bound_s, limited_wait_s, retry_wait_s
from app.engine.journal import MemoryJournal
from app.engine.perform import Parked, Succeeded, perform
from app.engine.virtual import VirtualClock
from laneway import Context, InputError, TransientError, workflow
from tests.engine.support import START, make_run


class Crash(BaseException):
    """The worker dies here."""


@dataclass(frozen=True)
class Part:
    """A piece of a random workflow; `fails` transient failures come before its step's end."""

    kind: Literal["async", "sync", "ask", "sleep", "refused", "then", "together"]
    fails: int = 0
    long: bool = False
    parts: tuple[Part, ...] = ()


LEAVES = st.builds(
    Part,
    kind=st.sampled_from(["async", "sync", "ask", "sleep", "refused"]),
    fails=st.integers(0, 2),
    long=st.booleans(),
)
PARTS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        Part, kind=st.sampled_from(["then", "together"]), parts=st.lists(inner, max_size=4).map(tuple)
    ),
    max_leaves=10,
)
CRASHES = st.dictionaries(st.integers(1, 25), st.sampled_from(["before", "after"]), max_size=4)


@dataclass
class World:
    """What the steps touch, and what the journal knows to be finished."""

    failures_left: dict[str, int] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    ran_again: list[str] = field(default_factory=list)

    def act(self, name: str, fails: int, long: bool) -> str:
        """One execution of a step's function."""
        if name in self.finished:
            self.ran_again.append(name)
        left = self.failures_left.setdefault(name, fails)
        if left:
            self.failures_left[name] = left - 1
            raise TransientError("not yet", retry_after_s=60 if long else 0)
        return f"did {name}"


class CrashingJournal:
    """A journal whose worker dies at some writes, before or after they are durable."""

    def __init__(self, world: World, crashes: dict[int, str]) -> None:
        self.memory = MemoryJournal()
        self._world = world
        self._crashes = dict(crashes)
        self._writes = 0

    async def load(self) -> list[StepRecord]:
        return await self.memory.load()

    async def write(self, write: StepWrite) -> None:
        self._writes += 1
        point = self._crashes.pop(self._writes, None)
        if point == "before":
            raise Crash
        await self.memory.write(write)
        if write.record.status is not StepStatus.RETRYING:
            self._world.finished.add(write.record.name)
        if point == "after":
            raise Crash


async def play(ctx: Context, world: World, part: Part, name: str) -> Any:
    """Perform a part of the random workflow."""
    if part.kind == "then":
        return [await play(ctx, world, one, f"{name}.{place}") for place, one in enumerate(part.parts)]
    if part.kind == "together":
        branches = [play(ctx, world, one, f"{name}.{place}") for place, one in enumerate(part.parts)]
        return list(await ctx.gather(*branches))
    if part.kind == "sleep":
        await ctx.sleep(name, "1h" if part.long else "1s")
        return "slept"
    if part.kind == "ask":
        return await ctx.ask(name, model="small", prompt=name)
    if part.kind == "refused":
        return await refused(ctx, world, name)
    return await ctx.step(name, in_loop(world) if part.kind == "async" else world.act, name, part.fails, part.long)


def in_loop(world: World) -> Any:
    """The same act as a coroutine."""

    async def act(name: str, fails: int, long: bool) -> str:
        await asyncio.sleep(0)
        return world.act(name, fails, long)

    return act


async def refused(ctx: Context, world: World, name: str) -> str:
    """A step that fails for good, caught by the author."""

    async def refuse() -> None:
        world.act(name, 0, False)
        raise InputError(f"no {name}")

    try:
        await ctx.step(name, refuse)
    except InputError as error:
        return error.detail
    return "not refused"


def expected(part: Part, name: str) -> Any:
    """What the workflow must give, told without any engine."""
    if part.kind in ("then", "together"):
        return [expected(one, f"{name}.{place}") for place, one in enumerate(part.parts)]
    return {"sleep": "slept", "ask": "said", "refused": f"no {name}"}.get(part.kind, f"did {name}")


def leaves(part: Part, name: str) -> list[str]:
    """The names of all steps."""
    if part.kind in ("then", "together"):
        return [leaf for place, one in enumerate(part.parts) for leaf in leaves(one, f"{name}.{place}")]
    return [name]


async def live(program: Part, world: World, journal: CrashingJournal, *, resumed: bool = False) -> tuple[Any, int]:
    """The output after as many crashes, parks and runs as it takes, and how many runs that were."""

    @workflow("random", version="1")
    async def random(ctx: Context, _: str) -> Any | None:
        return await play(ctx, world, program, "s")

    clock = VirtualClock(START + timedelta(days=10 * resumed))
    replies = dict.fromkeys(leaves(program, "s"), "said")
    for count in range(1, 200):
        own = {"journal": journal, "job_id": journal.memory.job_id, "resumed": resumed or count > 1}
        run = make_run("x", clock=clock, replies=replies, **own)
        try:
            outcome = await perform(random, run)
        except Crash:
            journal.memory = journal.memory.take_over()
            continue
        if isinstance(outcome, Parked):
            clock.move_to(outcome.until)
            continue
        assert isinstance(outcome, Succeeded), outcome
        return canonical.load(outcome.output), count
    raise AssertionError("the job never ended")


@settings(max_examples=150, deadline=None)
@given(PARTS, CRASHES)
def test_crashes_change_no_result_and_run_no_finished_step_again(program: Part, crashes: dict[int, str]) -> None:
    world = World()
    journal = CrashingJournal(world, crashes)
    output, _ = asyncio.run(live(program, world, journal))
    assert output == expected(program, "s")
    assert world.ran_again == []
    final = Counter(record.name for record in journal.memory.records if record.status is not StepStatus.RETRYING)
    assert final == Counter(leaves(program, "s"))


@settings(max_examples=50, deadline=None)
@given(PARTS)
def test_a_finished_job_performed_again_runs_nothing(program: Part) -> None:
    world = World()
    journal = CrashingJournal(world, {})
    first, _ = asyncio.run(live(program, world, journal))
    written = sorted(journal.memory.records, key=lambda record: record.name)
    journal.memory = journal.memory.take_over()
    again, runs = asyncio.run(live(program, world, journal, resumed=True))
    assert (again, runs, world.ran_again) == (first, 1, [])
    assert sorted(journal.memory.records, key=lambda record: record.name) == written


@given(st.integers(1, 10_000), st.floats(0.001, 3600), st.none() | st.floats(-10, 1e12))
def test_a_backoff_is_never_below_its_floor_nor_above_its_bound(
    tries: int, base_s: float, retry_after_s: float | None
) -> None:
    floor = min(LONGEST_FLOOR_S, max(0.0, retry_after_s or 0.0))
    wait_s = retry_wait_s(tries, base_s, retry_after_s)
    assert floor + bound_s(tries, base_s) / 2 <= wait_s <= floor + bound_s(tries, base_s)
    assert bound_s(tries, base_s) <= LONGEST_S
    assert bound_s(tries, base_s) <= bound_s(tries + 1, base_s)


@given(st.integers(1, 10_000), st.none() | st.floats(0, 1e12))
def test_a_rate_limit_is_never_spun_on(times: int, retry_after_s: float | None) -> None:
    floor = 60.0 if retry_after_s is None else min(LONGEST_FLOOR_S, retry_after_s)
    assert floor + 0.125 <= limited_wait_s(times, retry_after_s) <= floor + LONGEST_S


def test_the_jitter_spreads_over_the_upper_half_of_the_bound() -> None:
    drawn = [retry_wait_s(3, 1.0, None) for _ in range(2000)]
    assert 2.0 <= min(drawn) < 2.2
    assert 3.8 < max(drawn) <= 4.0
    assert 2.9 < sum(drawn) / len(drawn) < 3.1


@given(st.integers(1, 10), st.floats(0.001, 0.5), st.floats(0, 1e6))
def test_a_later_wait_is_never_shorter(tries: int, base_s: float, in_line_s: float) -> None:
    """Nor than what the one before has come to in a pool's line, as long as that is not for ever."""
    first_s = retry_wait_s(tries, base_s, None)
    assert first_s <= retry_wait_s(tries + 1, base_s, None)
    came_to_s, longest_s = first_s + in_line_s, 4 * bound_s(tries + 1, base_s)
    assert min(came_to_s, longest_s) <= retry_wait_s(tries + 1, base_s, None, came_to_s) <= longest_s
