"""Hours of the day: over midnight, in a zone whose clocks are moved, and what is no hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.hours import hours

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
TEXTS = st.sampled_from(
    [
        "22:00-06:00",
        "22:00-06:00 UTC",
        "09:00-17:30 Europe/Berlin",
        "23:30-00:30 America/New_York",
        "01:00-04:00 Asia/Tokyo",
    ]
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "open_now"),
    [("2026-03-01T21:59:59", False), ("2026-03-01T22:00", True), ("2026-03-02T00:00", True), ("2026-03-02T05:59", True),
     ("2026-03-02T06:00", False), ("2026-03-02T12:00", False)],
)  # fmt: skip
def test_hours_over_midnight(moment: str, open_now: bool) -> None:
    assert hours("22:00-06:00 UTC").open_at(utc(moment)) == open_now


@given(TEXTS, MOMENTS)
def test_the_next_start_is_within_the_hours_and_nothing_before_it_is(text: str, moment: datetime) -> None:
    own = hours(text)
    start = own.next_open(moment)
    assert own.open_at(start)
    assert timedelta(0) <= start - moment < timedelta(hours=25)
    gap = (start - moment) / 7
    assert start == moment or not any(own.open_at(moment + n * gap) for n in range(7))


def test_a_zones_clocks_are_followed() -> None:
    berlin = hours("22:00-06:00 Europe/Berlin")
    assert berlin.next_open(utc("2026-01-10T12:00")) == utc("2026-01-10T21:00")
    assert berlin.next_open(utc("2026-07-10T12:00")) == utc("2026-07-10T20:00")


def test_an_hour_that_a_moved_clock_leaves_out_comes_the_next_day() -> None:
    """On 29 March 2026 clocks in Berlin go from 02:00 to 03:00."""
    berlin = hours("02:10-02:50 Europe/Berlin")
    assert not any(berlin.open_at(utc("2026-03-29T00:00") + timedelta(minutes=n)) for n in range(180))
    assert berlin.open_at(utc("2026-03-30T00:30"))


@pytest.mark.parametrize(
    "bad",
    ["", "22-6", "22:00-06:00 ", "24:00-06:00", "22:60-06:00", "22:00-22:00", "22:00-06:00 Mars/Base", "2:00-6:00 UTC"],
)
def test_what_is_no_hours_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"for instance 22:00-06:00 UTC"):
        hours(bad)
