"""How often the backlog is counted: seldom where it is dear, and never so seldom that what started is long unseen."""

from __future__ import annotations

from app.jobs.backlog import pause_s


def test_a_slow_count_is_made_less_often_and_not_forgotten() -> None:
    assert [pause_s(took_s) for took_s in (0.001, 0.05, 0.1, 1.5)] == [1.0, 1.0, 2.0, 5.0]
