"""Off-peak hours: when a job may start, held to at submit and at the claim."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.domain.hours import Hours, hours
from app.domain.job import Reason, Status
from app.jobs.start import Start, start_of
from app.settings import ConfigurationError, load_settings
from tests.lanes.turns import Turns

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NIGHT = datetime(2026, 3, 1, 23, tzinfo=UTC)
OPENS = datetime(2026, 3, 1, 22, tzinfo=UTC)
BULK = {"bulk": hours("22:00-06:00 UTC")}
NOW = (Status.QUEUED, None)
LATER = (Status.SCHEDULED, Reason.OFF_PEAK)


def around_now(hours_from_now: int) -> Hours:
    """Three hours that began or begin so many hours from now."""
    start = datetime.now(UTC) + timedelta(hours=hours_from_now)
    return hours(f"{start:%H:%M}-{start + timedelta(hours=3):%H:%M} UTC")


def state(start: Start) -> tuple[Status, Reason | None]:
    return (start.status, start.reason)


def test_a_lane_with_hours_waits_for_them_unless_the_submit_says_no() -> None:
    assert start_of(NOON, None, "bulk", None, BULK) == Start(*LATER, OPENS, True)
    assert start_of(NOON, None, "bulk", True, BULK) == Start(*LATER, OPENS, True)
    assert start_of(NOON, None, "bulk", False, BULK) == Start(*NOW, NOON, False)
    assert start_of(NIGHT, None, "bulk", None, BULK) == Start(*NOW, NIGHT, True)


def test_another_lane_waits_only_if_asked_to() -> None:
    assert state(start_of(NOON, None, "standard", None, BULK)) == NOW
    assert start_of(NOON, None, "standard", True, BULK) == Start(*LATER, OPENS, False)
    assert state(start_of(NOON, None, "standard", True, {})) == NOW, "without hours there is nothing to wait for"


def test_run_at_and_hours_are_both_kept() -> None:
    evening, morning = NOON + timedelta(hours=11), NOON + timedelta(hours=19)
    in_hours = start_of(NOON, evening, "bulk", None, BULK)
    assert in_hours == Start(Status.SCHEDULED, Reason.RUN_AT, evening, True)
    after_them = start_of(NOON, morning, "bulk", None, BULK)
    assert after_them == Start(*LATER, OPENS + timedelta(days=1), True)


async def test_a_backlog_that_outlives_the_hours_waits_for_the_next_ones(turns: Turns) -> None:
    """Due since the hours began, and not started when they end: a claim holds it back, and nothing behind it."""
    held = await turns.submit(3, off_peak=True, priority=9)
    free = await turns.submit(2)
    shut, opened = {turns.lane: around_now(2)}, {turns.lane: around_now(-1)}
    closed = turns.worker(shut)
    assert [job.id for job in await closed.run(10)] == free
    assert await closed.claims.due(turns.lane, 10) == 0
    assert [job.id for job in await turns.worker(opened).run(10)] == held


async def test_what_has_started_goes_on_after_the_hours(turns: Turns) -> None:
    (job_id,) = await turns.submit(off_peak=True)
    worker = turns.worker({turns.lane: around_now(-1)})
    assert await worker.start() is not None
    await turns.store.controls.recover([worker.id], died=False)
    (job,) = await turns.worker({turns.lane: around_now(2)}).run(2)
    assert job.id == job_id


def test_hours_are_read_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("laneway.toml").write_text('[lanes.bulk]\noff_peak = "22:00-06:00 Europe/Berlin"\n')
    settings = load_settings()
    assert settings.off_peak_hours == {"bulk": hours("22:00-06:00 Europe/Berlin")}
    assert settings.lane("bulk").slots == 200, "the lane keeps its own slots"


@pytest.mark.parametrize(
    ("text", "told"),
    [('[lanes.bulk]\noff_peak = "10pm to 6am"\n', "lanes.bulk.off_peak"),
     ('[lanes.bulk]\noff_peak = "22:00-06:00 Mars/Base"\n', "time zone"),
     ('[lanes.delivery]\noff_peak = "22:00-06:00"\n', "lanes.delivery.off_peak: there are none")],
)  # fmt: skip
def test_wrong_hours_are_refused_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("laneway.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        load_settings()
