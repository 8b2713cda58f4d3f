"""Any order of asking, ending and waiting: bounds that always hold."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.adaptive.core import Pool, numbers, plain

_STATUSES = [200, 200, 200, 200, 400, 429, 429, 500, 503, 529, 598, 0]


@dataclass(frozen=True, slots=True)
class Ask:
    """So many callers at once."""

    count: int
    lane: int
    input: int
    output: int


@dataclass(frozen=True, slots=True)
class End:
    """One call in flight ends."""

    place: int
    status: int
    used: int | None
    retry_after: float | None
    label: str | None
    limits: dict[str, int]


@dataclass(frozen=True, slots=True)
class Pass:
    """Time goes by, or back by a little as clocks of servers do; then a beat."""

    seconds: float


_ASKS = st.builds(Ask, st.integers(1, 30), st.integers(0, 1), st.integers(1, 40_000), st.integers(1, 8_000))
_LIMITS = st.just({}) | st.fixed_dictionaries(
    {"limit_requests": st.integers(0, 5000), "left_requests": st.integers(-1, 5000)},
    optional={"limit_tokens": st.integers(0, 10**6), "left_tokens": st.integers(-1, 10**6)},
)
_ENDS = st.builds(
    End,
    place=st.integers(0, 60),
    status=st.sampled_from(_STATUSES),
    used=st.none() | st.integers(0, 60_000),
    retry_after=st.none() | st.floats(0, 1e6),
    label=st.sampled_from([None, None, "req", "tok", "conc"]),
    limits=_LIMITS,
)
_PASSES = st.builds(Pass, st.floats(-0.5, 2) | st.floats(0, 300))
_RUNS = st.lists(_ASKS | _ENDS | _ENDS | _PASSES, max_size=120)
_POOLS = st.fixed_dictionaries(
    {"ceiling": st.integers(1, 60)},
    optional={
        "max_in_flight": st.integers(1, 60),
        "requests_per_minute": st.integers(1, 6000),
        "tokens_per_minute": st.integers(1, 10**6),
    },
)


def _do(pool: Pool, act: Ask | End | Pass) -> None:
    match act:
        case Ask():
            for _ in range(act.count):
                pool.ask(act.lane, act.input, act.output)
        case End() if pool.flying:
            more = {"retry_after": act.retry_after, "label": act.label, **act.limits}
            pool.settle(act.place % len(pool.flying), act.status, act.used, **more)
        case Pass():
            pool.now += act.seconds
            pool.adaptive.beat(pool.state, pool.now, 3)


@settings(max_examples=150, deadline=None)
@given(run=_RUNS, limits=_POOLS)
def test_what_always_holds(run: list[Ask | End | Pass], limits: dict[str, int]) -> None:
    pool = Pool(**limits)
    for act in run:
        _do(pool, act)
        assert len(pool.flying) <= min(limits["ceiling"], limits.get("max_in_flight", 60))
        # A call may be measured against a bucket of a billion tokens: one part in a million is rounding.
        assert all(over <= 1e-6 * (1 + abs(d.level)) for over, d in zip(pool.overfull(), _paced(pool), strict=True))
    state = plain(pool.state)
    assert all(math.isfinite(number) for number in numbers(state))
    assert len(state["points"]) <= 40 and len(state["prints"]) <= 9 and len(state["samples"]) <= 50
    assert len(numbers(state)) < 1200
    assert all(math.isfinite(number) for number in numbers(pool.view()))


def _paced(pool: Pool) -> list:  # type: ignore[type-arg]
    return [d for d in pool.dimensions() if d.rate]


@settings(max_examples=100, deadline=None)
@given(
    requests=st.integers(1, 60_000),
    tokens=st.integers(1_000, 10**7),
    calls=st.lists(
        st.tuples(st.integers(0, 1), st.integers(1, 40_000), st.integers(1, 8_000)), min_size=1, max_size=20
    ),
)
def test_a_wait_that_was_obeyed_is_enough(requests: int, tokens: int, calls: list[tuple[int, int, int]]) -> None:
    pool = Pool(requests_per_minute=requests, tokens_per_minute=tokens)
    waited = False
    for call in [*calls, *calls]:
        pool.flying.clear()
        wait_s, reason = pool.ask(*call)
        if reason == "paced":
            waited = True
            pool.now += wait_s
            assert pool.ask(*call) == (0, None)
    assert waited or requests > 60


@settings(max_examples=50, deadline=None)
@given(calls=st.integers(2, 16), order=st.randoms(), late_s=st.floats(0, 0.3))
def test_one_epoch_is_one_cut(calls: int, order, late_s: float) -> None:  # type: ignore[no-untyped-def]
    pool = Pool()
    for _ in range(40):  # a pool that has seen some traffic
        pool.now += 1.0
        if pool.ask()[0] == 0:
            pool.settle(0, 200, 150)
    while len(pool.flying) < calls:
        pool.now += max(0.0, pool.ask()[0])
    pool.now += 0.1
    pool.settle(order.randrange(len(pool.flying)), 429)
    cut = [d.rate for d in _paced(pool)]
    pool.now += late_s
    while pool.flying:
        pool.settle(order.randrange(len(pool.flying)), 429)
    assert [d.rate for d in _paced(pool)] == cut


@settings(max_examples=50, deadline=None)
@given(idle_s=st.floats(1, 1e5), rate=st.integers(60, 60_000))
def test_after_idleness_no_flood(idle_s: float, rate: int) -> None:
    pool = Pool(requests_per_minute=rate, ceiling=400)
    pool.state.cap = 400
    pool.now += idle_s
    while pool.ask()[0] == 0:
        pass
    assert len(pool.flying) <= max(2.0, 0.5 * rate / 60) + 1e-6
