"""The rules of the breaker, in the Lua that Redis runs: opening, one probe an interval, the way back, by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lupa.lua51
from hypothesis import given, settings
from hypothesis import strategies as st

import app.gateway

SOURCE = (Path(app.gateway.__file__).with_name("pools") / "adaptive" / "breaker.lua").read_text()
# A time as Redis tells it: large, with a fraction.
START = 1_780_000_000.25


class Breaker:
    """One breaker, with the clock in the test's hand."""

    def __init__(self) -> None:
        self._rules: Any = lupa.lua51.LuaRuntime().execute(f"{SOURCE}\nreturn breaker")
        self.b = self._rules.new()
        self.now = START

    def ask(self, random: float = 0.5) -> tuple[str | None, float, float]:
        """Whether a call may go, the wait, the share."""
        found: tuple[str | None, float, float] = self._rules.ask(self.b, self.now, random)
        return found

    def outcome(self, kind: str | None, *, probe: bool = False, sent: float | None = None) -> None:
        """A call ended."""
        self._rules.outcome(self.b, self.now, probe, kind, sent)

    def outcomes(self, *kinds: str, step_s: float = 0.1) -> None:
        """Calls end, one after the other."""
        for kind in kinds:
            self.now += step_s
            self.outcome(kind)

    def force(self, how: str) -> None:
        """By hand."""
        self._rules.force(self.b, self.now, how)

    @property
    def state(self) -> str:
        """The word that people are shown."""
        found: str = self._rules.state(self.b, self.now)
        return found

    def next_probe(self) -> float:
        """Wait for the next probe and take it; the seconds waited."""
        said, wait_s, _ = self.ask()
        assert said is None
        self.now += wait_s
        assert self.ask()[0] == "probe"
        return wait_s


def opened() -> Breaker:
    """A breaker that has just opened."""
    breaker = Breaker()
    breaker.outcomes(*["failed"] * 20)
    assert breaker.state == "open"
    return breaker


def test_a_new_one_is_closed() -> None:
    breaker = Breaker()
    assert (breaker.state, breaker.ask()) == ("closed", ("go", 0, 1))


def test_nineteen_failures_leave_it_closed_and_the_twentieth_opens_it() -> None:
    breaker = Breaker()
    breaker.outcomes(*["failed"] * 19)
    assert breaker.state == "closed"
    breaker.outcomes("failed")
    assert breaker.state == "open"


def test_just_under_half_leaves_it_closed_and_half_opens_it() -> None:
    breaker = Breaker()
    breaker.outcomes(*["ok", "ok", "failed", "failed", "ok"] * 8)
    assert breaker.state == "closed"
    breaker.outcomes(*["failed"] * 8)
    assert breaker.state == "open"


def test_ten_connection_errors_in_a_row_open_it_and_an_answer_breaks_the_row() -> None:
    breaker = Breaker()
    breaker.outcomes(*["refused"] * 9, "other", *["refused"] * 9)
    assert breaker.state == "closed"
    breaker.outcomes("refused")
    assert breaker.state == "open"


def test_limits_and_wrong_input_never_open_it() -> None:
    breaker = Breaker()
    breaker.outcomes(*["other"] * 1000)
    assert breaker.state == "closed"


def test_what_is_older_than_thirty_seconds_is_forgotten() -> None:
    breaker = Breaker()
    breaker.outcomes(*["failed"] * 19)
    breaker.now += 30
    breaker.outcomes("failed")
    assert breaker.state == "closed"


def test_while_it_is_open_one_in_each_interval_is_the_probe() -> None:
    breaker = opened()
    assert 0 < breaker.next_probe() <= 1
    said = [breaker.ask()[0] for _ in range(100)]
    assert said == [None] * 100


def test_a_lost_probe_holds_nobody_up_for_longer_than_its_interval() -> None:
    breaker = opened()
    breaker.next_probe()
    assert breaker.next_probe() <= 1.2


def test_an_outage_of_five_minutes_takes_under_130_probes_and_ends_within_15_s() -> None:
    breaker, probes = opened(), 0
    began = breaker.now
    while breaker.now < began + 300:
        breaker.next_probe()
        breaker.outcome("failed", probe=True)
        probes += 1
    assert probes < 130
    assert breaker.ask()[1] <= 13
    breaker.now = began + 3600
    breaker.ask()
    assert breaker.ask(1)[1] == 60


def test_a_probe_that_succeeds_leads_up_the_ramp() -> None:
    breaker = opened()
    breaker.next_probe()
    breaker.outcome("ok", probe=True)
    assert (breaker.state, breaker.ask()) == ("half_open", ("go", 0, 0.25))
    breaker.outcomes("ok", step_s=2)
    assert (breaker.state, breaker.ask()) == ("half_open", ("go", 0, 0.5))
    breaker.outcomes("ok", step_s=2)
    assert (breaker.state, breaker.ask()) == ("closed", ("go", 0, 1))


def test_without_a_success_no_stage_is_passed() -> None:
    breaker = opened()
    breaker.next_probe()
    breaker.outcome("ok", probe=True)
    breaker.now += 1000
    assert breaker.ask() == ("go", 0, 0.25)


def test_a_probe_that_meets_a_limit_has_found_the_dependency_there() -> None:
    breaker = opened()
    breaker.next_probe()
    breaker.outcome("other", probe=True)
    assert breaker.state == "half_open"


def test_five_failures_on_the_ramp_open_it_again_and_the_outage_goes_on() -> None:
    breaker = opened()
    breaker.now += 300
    breaker.ask()
    breaker.outcome("ok", probe=True)
    breaker.outcomes(*["failed"] * 5)
    assert breaker.state == "open"
    assert breaker.next_probe() > 5


def test_what_is_left_over_from_the_outage_tells_nothing() -> None:
    breaker = opened()
    sent = breaker.now
    breaker.outcomes("ok", "ok")
    assert breaker.state == "open"
    breaker.next_probe()
    breaker.outcome("ok", probe=True)
    for _ in range(30):
        breaker.outcome("failed", sent=sent)
        breaker.outcome("failed", probe=True)
    assert breaker.state == "half_open"


def test_a_probe_whose_end_nobody_knows_decides_nothing() -> None:
    breaker = opened()
    breaker.next_probe()
    breaker.outcome(None, probe=True)
    assert breaker.state == "open"


def test_by_hand_it_stands_as_told() -> None:
    breaker = Breaker()
    breaker.force("open")
    said = {breaker.ask()[0] for _ in range(50)}
    breaker.outcome("ok", probe=True)
    assert (said, breaker.state) == ({None}, "open")
    breaker.force("closed")
    breaker.outcomes(*["refused"] * 100)
    assert (breaker.ask(), breaker.state) == (("go", 0, 1), "closed")
    breaker.force("auto")
    assert breaker.state == "closed"
    breaker.outcomes(*["failed"] * 19)
    assert breaker.state == "closed"


def test_after_open_by_hand_a_probe_comes_first() -> None:
    breaker = Breaker()
    breaker.force("open")
    breaker.now += 1000
    breaker.force("auto")
    assert breaker.state == "open"
    assert breaker.next_probe() <= 1


def test_a_clock_that_goes_back_an_hour_keeps_nobody_out() -> None:
    breaker = opened()
    breaker.now -= 3600
    assert breaker.ask()[0] == "probe"
    breaker.outcome("ok", probe=True)
    breaker.now -= 3600
    breaker.outcomes(*["ok"] * 50)
    assert breaker.state == "closed"


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ok", "failed", "refused", "other", "lost"]),
        st.sampled_from([0.0, 0.01, 0.3, 1.0, 4.0, 12.0, 70.0]),
        st.floats(0, 1, exclude_max=True),
        st.booleans(),
    ),
    max_size=300,
)


@settings(max_examples=300, deadline=None)
@given(moves=MOVES, healthy=st.booleans())
def test_whatever_happens(moves: list[tuple[str, float, float, bool]], healthy: bool) -> None:
    breaker, log = Breaker(), _Log()
    probed_at, probe_out = -math.inf, False
    for move, wait_s, random, of_probe in moves:
        breaker.now += wait_s / 20 if healthy else wait_s
        before = breaker.state
        if move == "ask":
            said, wait, share = breaker.ask(random)
            assert (said is None) == (share == 0) and 0 <= wait <= 60
            if said == "probe":
                assert breaker.now - probed_at >= 1 - 1e-6
                probed_at, probe_out = breaker.now, True
            assert said != "go" or breaker.state != "open"
        else:
            probe = of_probe and probe_out
            breaker.outcome(None if move == "lost" else move, probe=probe)
            if before == "open":
                assert breaker.state == "open" or (probe and move in ("ok", "other"))
            elif move != "lost" and not (probe and move in ("failed", "refused")):
                log.add(breaker.now, move)
                opens = move != "other" and log.opens(breaker.now, 20 if before == "closed" else 5)
                assert (breaker.state == "open") == opens
        if breaker.state != before:
            log, probe_out = _Log(), probe_out and breaker.state == "open"
        assert_storable(breaker.b)


class _Log:
    """The rule of opening, said once more from all outcomes since the last change."""

    def __init__(self) -> None:
        self._counted: list[tuple[int, bool]] = []
        self._row = 0

    def add(self, now: float, kind: str) -> None:
        """An outcome."""
        self._row = self._row + 1 if kind == "refused" else 0
        if kind != "other":
            self._counted.append((int(now // 10), kind != "ok"))

    def opens(self, now: float, least: int) -> bool:
        """Whether it must be open now."""
        recent = [failed for bucket, failed in self._counted if bucket > now // 10 - 3]
        return self._row >= 10 or (len(recent) >= least and 2 * sum(recent) >= len(recent))


def assert_storable(value: Any) -> None:
    """Nothing that cmsgpack would change: tables, texts, truth and finite numbers."""
    if lupa.lua51.lua_type(value) == "table":
        for key, one in value.items():
            assert isinstance(key, str | int)
            assert_storable(one)
    else:
        assert isinstance(value, str | bool | int) or math.isfinite(value)
