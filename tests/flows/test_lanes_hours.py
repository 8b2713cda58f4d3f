"""Off-peak hours over HTTP: two APIs and two workers on the same servers; for some it is day, for the others night."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.flows.lanes import Lanes
from tests.stack import Stack, until


@contextmanager
def at(lanes: Lanes, name: str, from_now_h: int) -> Iterator[Lanes]:
    """The same lanes behind an API for which the off-peak hours of bulk begin so many hours from now, for three."""
    start = datetime.now(UTC) + timedelta(hours=from_now_h)
    hours = f"{start:%H:%M}-{start + timedelta(hours=3):%H:%M} UTC"
    base = lanes.stack
    extra = {"LANEWAY_WORKFLOWS": "tests.flows.turns", "LANEWAY_LANES__BULK__OFF_PEAK": hours}
    folder = base.folder / f"{name}-{lanes.tag}"
    folder.mkdir()
    stack = Stack(base.servers, base.provider, base.hooks, folder, extra)
    try:
        stack.start_api()
        yield Lanes(stack, lanes.tag)
    finally:
        stack.close()


@pytest.fixture
def day(lanes: Lanes) -> Iterator[Lanes]:
    with at(lanes, "day", 2) as made:
        yield made


@pytest.fixture
def night(lanes: Lanes) -> Iterator[Lanes]:
    with at(lanes, "night", -1) as made:
        yield made


def test_off_peak_jobs_start_at_night_only(day: Lanes, night: Lanes) -> None:
    later = day.submit("later", {"lane": "bulk", "off_peak": True})
    assert (later["status"], later["reason"]) == ("scheduled", "off_peak")
    opens = datetime.fromisoformat(later["due_at"]) - datetime.now(UTC)
    assert timedelta(minutes=118) < opens <= timedelta(hours=2)
    assert day.stack.job(later["id"]) == later
    assert day.waits(later) == [("off_peak", False)]
    assert day.submit("later", {"lane": "bulk"})["reason"] == "off_peak", "the lane's jobs wait unless they say no"

    day.worker("bulk", bulk=1)
    at_once = day.submit("at-once", {"lane": "bulk", "off_peak": False}, wait=20)
    assert (at_once["status"], at_once["due_at"]) == ("succeeded", None)

    # Taken in by night, when it was due at once; by day a worker leaves it, and takes what came after it.
    held = night.submit("held", {"lane": "bulk", "off_peak": True})
    assert (held["status"], held["reason"]) == ("queued", None)
    assert night.submit("passes", {"lane": "bulk", "off_peak": False}, wait=20)["status"] == "succeeded"
    night.worker("bulk", bulk=1)
    until(lambda: len(night.starts("held")) == 1)
    assert [row["name"] for row in night.starts()] == ["at-once", "passes", "held"]
