"""Instruments as Prometheus reads them: bounded, cumulative, and joined over processes under one head."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.clock import SYSTEM_CLOCK
from app.domain.step import StepRecord, StepStatus
from app.ops.scrape import joined
from app.telemetry.instruments import Count, Spread
from app.telemetry.metrics import LastMinute, Metrics
from tests.ops.scraping import read


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        return self.at

    now = SYSTEM_CLOCK.now
    sleep = SYSTEM_CLOCK.sleep


def record(name: str) -> StepRecord:
    """A step that took two seconds."""
    ended_at = SYSTEM_CLOCK.now()
    started_at = ended_at - timedelta(seconds=2)
    return StepRecord(name, "", "step", StepStatus.SUCCEEDED, 1, b"", None, None, started_at, ended_at, 1, "")


def test_a_bound_belongs_to_its_bucket() -> None:
    spread = Spread("seconds", "some", ("what",), (0.1, 1))
    for seconds in (-3.0, 0.05, 0.1, 0.11, 1.0, 50.0):
        spread.observe(seconds, "x")
    found = read(spread.text())
    assert found.kinds == {"seconds": "histogram"}
    assert found.by("seconds_bucket", "le", what="x") == {("0.1",): 3, ("1.0",): 5, ("+Inf",): 6}
    assert found.by("seconds_count") == {(): 6}
    assert found.by("seconds_sum") == {(): pytest.approx(51.26)}
    assert list(spread.means()) == [(("x",), pytest.approx(51.26 / 6))]


def test_what_was_never_used_says_nothing() -> None:
    assert Spread("seconds", "some", ("what",), (0.1, 1)).text() == Count("things", "some").text() == ""
    count = Count("things_total", "some")
    count.add(by=2.5)
    assert read(count.text()).samples == {("things_total", frozenset()): 2.5}


def test_names_made_at_run_time_are_bounded() -> None:
    metrics = Metrics(SYSTEM_CLOCK)
    for n in range(700):
        metrics.stepped("made", record(f"step {n}"))
    steps = read(metrics.text({}).decode()).by("laneway_steps_total", "step")
    assert len(steps) == 501
    assert steps["other",] == 200


def test_the_last_minute_forgets() -> None:
    clock = Hand()
    minute = LastMinute(clock)
    for _ in range(90):
        minute.add("bulk", 0.5)
        clock.at += 1
    assert minute.of("bulk") == (59, 29.5)
    assert minute.of("standard") == (0, 0)
    clock.at += 100
    assert minute.of("bulk") == (0, 0)


def test_processes_are_joined_and_the_gone_keep_only_their_counts() -> None:
    texts = []
    for process in ("a", "b", 'c"\n\\'):
        metrics = Metrics(SYSTEM_CLOCK)
        metrics.ended.add("w", "bulk", "succeeded", by=2)
        metrics.slots.watch(lambda: 7, "bulk")
        texts.append(metrics.text({"process": process}))
    found = read(joined(texts[:2], texts[2:]).decode())
    assert found.by("laneway_jobs_ended_total", "process") == {("a",): 2, ("b",): 2, ('c"\n\\',): 2}
    assert found.by("laneway_slots", "process") == {("a",): 7, ("b",): 7}
    assert found.kinds["laneway_jobs_ended"] == "counter"
    assert "laneway_calls" not in found.kinds, "nothing to say, nothing said"
