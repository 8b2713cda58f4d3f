"""The pause before a child is started again."""

from hypothesis import given
from hypothesis import strategies as st

from app.supervise.backoff import FIRST_S, LONGEST_S, STEADY_S, Backoff


def test_doubles_up_to_its_bound_and_begins_anew_after_a_steady_life() -> None:
    backoff = Backoff()
    assert [backoff.after(0) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert [backoff.after(STEADY_S), backoff.after(0)] == [0.1, 0.2]


@given(st.lists(st.floats(0, 100)))
def test_stays_within_its_bounds(lives: list[float]) -> None:
    backoff = Backoff()
    assert all(FIRST_S <= backoff.after(lived_s) <= LONGEST_S for lived_s in lives)
