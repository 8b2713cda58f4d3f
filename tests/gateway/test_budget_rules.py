"""The rules of budgets, with many callers in every order: the Lua that Redis runs, in a Lua of the same version."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import lupa.lua51
from hypothesis import given, settings
from hypothesis import strategies as st

SOURCE = files("app.gateway").joinpath("budgets/budget.lua").read_text(encoding="utf-8")
CALLERS = 64


class Rules:
    """`budget` in a Lua of its own, and counters as its tables."""

    def __init__(self) -> None:
        self.lua = lupa.lua51.LuaRuntime()
        self.budget: Any = self.lua.execute(SOURCE)

    def counters(self, *caps: int) -> Any:
        return self.lua.table(*(self.lua.table(cap=cap, open=0, spent=0) for cap in caps))


@dataclass
class World:
    """Callers against some budgets: those in flight with what they hold, and what has been spent."""

    rules: Rules
    counters: Any
    flying: dict[int, int]
    spent: int = 0

    def begin(self, caller: int, amount: int) -> str:
        verdict, _ = self.rules.budget.judge(self.counters, amount)
        if verdict == "granted":
            self.rules.budget.change(self.counters, 0, amount)
            self.flying[caller] = amount
        return str(verdict)

    def end(self, caller: int, cost: int) -> None:
        held = self.flying.pop(caller)
        self.rules.budget.change(self.counters, held, cost)
        self.rules.budget.book(self.counters, cost, cost)
        self.spent += cost


MOVES = st.lists(st.tuples(st.integers(0, CALLERS - 1), st.integers(0, 40)), min_size=50, max_size=400)


@given(caps=st.lists(st.integers(0, 500), min_size=1, max_size=3), moves=MOVES)
@settings(max_examples=60, deadline=None)
def test_a_budget_is_passed_by_no_more_than_was_in_flight(caps: list[int], moves: list[tuple[int, int]]) -> None:
    """A caller that flies ends at its next move, with any cost; else it asks for any amount."""
    rules = Rules()
    world = World(rules, rules.counters(*caps), {})
    for caller, nanos in moves:
        if caller in world.flying:
            world.end(caller, nanos)
        elif world.begin(caller, nanos) == "granted":
            # So whatever is spent in the end, all of it beyond the cap was in flight at the last grant.
            fits = world.spent + sum(world.flying.values()) <= min(caps)
            assert world.spent < min(caps) and (fits or len([one for one in world.flying.values() if one]) == 1)
        for i in range(len(caps)):
            counter = world.counters[i + 1]
            assert (counter.spent, counter.open) == (world.spent, sum(world.flying.values()))
    for caller in list(world.flying):
        world.end(caller, world.flying[caller])
    assert world.begin(0, 1) == ("spent" if world.spent >= min(caps) else "granted")


@given(cap=st.integers(1, 1000), amounts=st.lists(st.integers(1, 400), min_size=CALLERS, max_size=CALLERS))
@settings(max_examples=60, deadline=None)
def test_of_64_callers_at_once_no_more_are_let_through_than_fit(cap: int, amounts: list[int]) -> None:
    """Where calls cost what was set aside, a budget is passed only by one call that was let through alone."""
    rules = Rules()
    world = World(rules, rules.counters(cap), {})
    verdicts = [world.begin(caller, amount) for caller, amount in enumerate(amounts)]
    assert verdicts[0] == "granted"
    held = sum(world.flying.values())
    assert held <= cap or len(world.flying) == 1
    for caller in list(world.flying):
        world.end(caller, world.flying[caller])
    spent = world.spent
    assert spent == held
    # What did not fit comes back, one by one, until all is spent: nothing of a budget is out of reach.
    for caller, amount in enumerate(amounts):
        if world.begin(caller, amount) == "granted":
            world.end(caller, amount)
    assert world.spent < cap + max(amounts)
    assert world.spent >= min(cap, sum(amounts))


def test_what_is_booked_while_the_ledger_is_read_is_counted_once() -> None:
    rules = Rules()
    counters = rules.counters(100)
    counter = counters[1]
    rules.budget.change(counters, 0, 30)
    rules.budget.begin(counter, 30)
    assert rules.budget.judge(counters, 1)[0] == "unseeded"
    rules.budget.book(counters, 30, 20)
    rules.budget.seed(counter, 50)
    assert (counter.spent, counter.open, counter.pend) == (70, 0, None)
    rules.budget.change(counters, 0, 10)
    rules.budget.book(counters, 10, 10)
    assert counter.spent == 80


def test_the_longest_of_several_spent_budgets_is_told() -> None:
    rules = Rules()
    counters = rules.counters(10, 5, 100)
    for counter in (counters[1], counters[2]):
        counter.spent = 10
    assert tuple(rules.budget.judge(counters, 1)) == ("spent", 2)
    counters[3].spent = 100
    assert tuple(rules.budget.judge(counters, 1)) == ("spent", 3)
    counters[1].spent = counters[2].spent = 0
    counters[3].spent, counters[2].open = 0, 5
    assert tuple(rules.budget.judge(counters, 1)) == ("full", 2)


def test_large_sums_are_exact() -> None:
    """A budget of nine million dollars to the nano-dollar."""
    rules = Rules()
    most = 9_000_000 * 10**9
    counters = rules.counters(most)
    counters[1].spent = most - 2
    rules.budget.change(counters, 0, 1)
    rules.budget.book(counters, 1, 1)
    assert int(counters[1].spent) == most - 1
    assert rules.budget.judge(counters, 1)[0] == "granted"
