"""Limits in virtual time: what a bucket, a minute counter and a cap in flight let through."""

from hypothesis import given
from hypothesis import strategies as st

from app.loadtest.provider.limit import Denial, Gate, Hold, Limits


def _admitted(gate: Gate, limits: Limits, now: float, tries: int, tokens: int = 1) -> int:
    return sum(isinstance(gate.admit(limits, tokens, now), Hold) for _ in range(tries))


def test_bucket_lets_its_burst_through_then_its_rate() -> None:
    gate, limits = Gate(), Limits(rpm=60, burst_s=10)
    assert _admitted(gate, limits, 1000.0, 50) == 10
    assert _admitted(gate, limits, 1003.0, 50) == 3


def test_denial_says_when_the_call_would_pass() -> None:
    gate, limits = Gate(), Limits(rpm=60, burst_s=1)
    gate.admit(limits, 1, 5.0)
    denial = gate.admit(limits, 1, 5.25)
    assert isinstance(denial, Denial)
    assert (denial.dimension, denial.limit, round(denial.wait_s, 6)) == ("requests", 60, 0.75)
    assert isinstance(gate.admit(limits, 1, 6.0), Hold)


def test_minute_counter_opens_again_at_the_full_minute() -> None:
    gate, limits = Gate(), Limits(rpm=5, window="minute")
    assert _admitted(gate, limits, 119.0, 9) == 5
    assert _admitted(gate, limits, 119.9, 9) == 0
    assert _admitted(gate, limits, 120.0, 9) == 5


def test_tokens_are_charged_first_and_settled_to_the_true_use() -> None:
    gate, limits = Gate(), Limits(tpm=6000, burst_s=10)
    hold = gate.admit(limits, 1000, 0.0)
    assert isinstance(hold, Hold)
    assert isinstance(gate.admit(limits, 10, 0.0), Denial)
    gate.settle(limits, hold, 400)
    assert [standing.remaining for standing in gate.standings(limits, 0.0)] == [600]


def test_a_call_larger_than_the_bucket_passes_when_it_is_full_and_leaves_a_debt() -> None:
    gate, limits = Gate(), Limits(tpm=6000, burst_s=10)
    assert isinstance(gate.admit(limits, 3000, 0.0), Hold)
    assert isinstance(gate.admit(limits, 1, 19.9), Denial)
    assert isinstance(gate.admit(limits, 1, 20.1), Hold)


def test_cap_in_flight_frees_at_settle() -> None:
    gate, limits = Gate(), Limits(max_in_flight=2)
    first = gate.admit(limits, 1, 0.0)
    assert _admitted(gate, limits, 0.0, 3) == 1
    assert isinstance(first, Hold)
    gate.settle(limits, first, 1)
    assert _admitted(gate, limits, 0.0, 3) == 1


def test_a_smaller_limit_cuts_what_was_saved_up() -> None:
    gate = Gate()
    assert gate.standings(Limits(rpm=600), 0.0)[0].remaining == 100
    assert gate.standings(Limits(rpm=60), 0.0)[0].remaining == 10


@given(
    rpm=st.integers(1, 5000),
    burst_s=st.floats(0.1, 60),
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 20)), max_size=40),
)
def test_a_bucket_never_lets_more_through_than_burst_and_rate(
    rpm: int, burst_s: float, steps: list[tuple[float, int]]
) -> None:
    gate, limits, now, passed = Gate(), Limits(rpm=rpm, burst_s=burst_s), 0.0, 0
    for wait_s, tries in steps:
        now += wait_s
        passed += _admitted(gate, limits, now, tries)
        assert passed <= max(1.0, rpm / 60 * burst_s) + rpm / 60 * now + 1e-3
