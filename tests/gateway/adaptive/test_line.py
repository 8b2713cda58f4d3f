"""The line: lanes, tenants, and nobody is forgotten."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from lupa.lua51 import LuaRuntime

from app.gateway.pools.adaptive import SOURCE

_DESK = files("bench.limits").joinpath("desk.lua").read_text(encoding="utf-8")
_RATE = 600_000.0  # a minute: what is granted here is decided by the line alone


class Line:
    """Waiters before a pool that has room for some at a time."""

    def __init__(self) -> None:
        lua = LuaRuntime(unpack_returned_tuples=True)
        self._desk: Any = lua.execute(f"{SOURCE}\n{_DESK}")
        self._desk.open(0.0, lua.table(ceiling=10_000, requests_per_minute=_RATE))
        self._desk.state().cap = 10_000
        self.now = 100.0
        self._waiters: dict[int, tuple[int, str, int]] = {}

    def register(self, lane: int, tenant: str, tokens: int, since: float) -> int:
        number = len(self._waiters)
        self._waiters[number] = (lane, tenant, tokens)
        self._desk.register(number, lane, tenant, tokens - 1, 1, since, False)
        return number

    def grant(self, most: int) -> list[tuple[int, str, int]]:
        """Lane, tenant and tokens of those that were granted, in order."""
        self.now += 1.0
        answer = self._desk.grant(self.now, 0, most)
        return [self._waiters[number] for number in (answer[1:] if isinstance(answer, tuple) else ())]

    def parked(self) -> None:
        """Jobs of the bulk lane are parked for the pool."""
        self._desk.parked(self.now)


_SIZES = st.lists(st.integers(2, 9_000), min_size=30, max_size=30)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(_SIZES, min_size=2, max_size=5))
def test_tenants_share_by_tokens(sizes: list[list[int]]) -> None:
    line = Line()
    for tenant, calls in enumerate(sizes):
        for tokens in calls:
            line.register(1, f"t{tenant}", tokens, 100.0)
    served: Counter[str] = Counter({f"t{tenant}": 0 for tenant in range(len(sizes))})
    left = Counter({f"t{tenant}": len(calls) for tenant, calls in enumerate(sizes)})
    while all(left.values()):
        for _, tenant, tokens in line.grant(1):
            served[tenant] += tokens
            left[tenant] -= 1
        # Start-time fair queueing: of two that wait all the time none is further ahead than two calls.
        assert max(served.values()) - min(served.values()) <= 2 * 9_000


def _lanes(line: Line, most: int) -> list[int]:
    return [lane for lane, _, _ in line.grant(most)]


def _crowded(line: Line) -> None:
    for _ in range(100):
        line.register(0, "a", 100, 99.0)


def test_real_time_goes_first_but_for_a_lane_that_waited_long() -> None:
    line = Line()
    _crowded(line)
    for _ in range(30):
        line.register(1, "a", 100, 99.0)
    assert [lane for _ in range(30) for lane in _lanes(line, 1)] == [0] * 30
    line.now += 0.5
    lanes = _lanes(line, 31)
    # The nine that it let pass were counted before.
    assert lanes == [1] + ([0] * 9 + [1]) * 3


def test_a_line_that_was_empty_meanwhile_has_kept_nobody_waiting() -> None:
    line = Line()
    line.register(0, "a", 100, 99.0)
    line.register(1, "a", 100, 99.0)
    assert _lanes(line, 2) == [0, 1]
    line.now += 40.0
    _crowded(line)
    line.register(1, "a", 100, line.now)
    assert _lanes(line, 50) == [0] * 50


def test_the_lane_waits_while_its_jobs_are_parked_for_the_pool() -> None:
    line = Line()
    _crowded(line)
    for _ in range(31):
        line.parked()
        assert _lanes(line, 1) == [0]
    line.register(1, "a", 100, line.now)
    assert _lanes(line, 2) == [1, 0]
    line.now += 6.0
    # Of these jobs nothing was heard for a while: they are gone.
    line.register(1, "a", 100, line.now)
    assert _lanes(line, 20) == [0] * 20


def test_a_tenant_that_comes_back_has_credit_but_not_for_ever() -> None:
    line = Line()
    for _ in range(2_000):
        line.register(1, "flood", 100, 100.0)
    for _ in range(100):
        line.grant(10)  # 1,000 tokens a second, over 100 s
    for _ in range(500):
        line.register(1, "small", 100, line.now)
    tenants = [tenant for _, tenant, _ in line.grant(300)]
    first = tenants.index("flood")
    assert 50 <= first <= 150  # ten seconds of the pool are a hundred calls
    assert abs(Counter(tenants[first:])["flood"] - Counter(tenants[first:])["small"]) <= 2
