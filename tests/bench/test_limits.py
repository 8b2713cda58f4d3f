"""The measured run of the rate controller under test, small: the service and a do-it-yourself way, and their page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.limits.bars import BARS
from bench.limits.measure import measure
from bench.limits.provider import Hidden
from bench.limits.real.hidden import changes, words
from bench.limits.real.page import table
from bench.limits.real.plan import PLANS, shortened
from bench.limits.real.together import room, together
from bench.limits.real.told import read, told
from bench.limits.scenario import Scenario
from bench.limits.traffic import REAL_TIME, Job, Traffic

_BEGAN = 1_800_000_000.0


def _row(n: int, sent: float, ended: float | None, outcome: str | None, status: int | None) -> dict[str, object]:
    def at(when: float) -> str:
        from_epoch = _BEGAN + when
        return f"2027-01-15T08:00:{from_epoch - _BEGAN:09.6f}+00:00"

    return {
        "item": str(n), "arrived_at": at(sent), "ended_at": ended and at(ended), "outcome": outcome, "status": status,
        "prompt_tokens": 10, "completion_tokens": 5 if status == 200 else 0, "alone_s": 1.5,
    }  # fmt: skip


def _job(n: int) -> Job:
    return Job(n, REAL_TIME, "a", 0.0, input=10, output=5, max_tokens=20, luck=0.0)


def test_the_call_log_is_counted_as_the_simulation_counts() -> None:
    scenario = Scenario("small", Hidden(rpm=60, burst_s=5), Traffic(backlog=0), seconds=10)
    rows = [_row(1, 0.5, 2.5, "ok", 200), _row(2, 0.7, 0.8, "limit_requests", 429), _row(2, 3, 4, "http_500", 500),
            _row(2, 5.0, None, None, None), _row(3, 6.0, 6.5, "http_503", 503)]  # fmt: skip
    calls = read(rows, _BEGAN, 10.0)
    run = told(scenario, [_job(n) for n in (1, 2, 3)], calls, {1: 2.75})
    tally = run.tally
    assert tally.attempts[:10] == [2, 0, 0, 1, 0, 1, 1, 0, 0, 0]
    assert tally.accepted[:10] == [1, 0, 0, 1, 0, 1, 0, 0, 0, 0]
    assert tally.refused[:10] == [1] + [0] * 9
    assert tally.accepted_tokens[0] == 15
    assert (tally.useful, tally.wasted) == (15, 35)
    assert tally.real_time == [(0.0, 2.75)]
    assert sum(tally.in_flight[:10]) == pytest.approx(2 + 1 + 5 + 0.5)
    assert run.unloaded_s(_job(1)) == 1.5
    assert measure(run)["use"] == pytest.approx(100 * 3 / (10 + 5))


def test_what_the_provider_hides_is_what_the_scenario_says() -> None:
    said = words(PLANS["tokens_mixed"], 7)
    assert said[said.index("--tpm") + 1] == "900000"
    assert "--knee" not in said
    assert [when for when, _ in changes(PLANS["changes"].hidden)] == [140.0, 280.0]
    assert [settings for _, settings in changes(PLANS["outage"].hidden)][1] == {}


def test_every_plan_is_one_of_the_bars() -> None:
    assert list(PLANS) == list(BARS)
    assert all(plan.seconds <= 900 for plan in PLANS.values())


def test_the_record_is_the_page(tmp_path: Path) -> None:
    path = tmp_path / "limits.json"
    assert "make bench-limits" in table(path)
    own, simulated = {"use": 96.0, "refused": 0.5, "scripts": 1.5}, {"use": 98.0, "refused": 0.4}
    run = {
        "service": own,
        "simulated": simulated,
        "others": {"AIMD": {"use": 99.0, "refused": 14.0}},
        "facts": "one machine",
        "busy": 0.5,
        "seed": 1,
    }
    admit = {"calls_per_s": 200.0, "p50_ms": 1.1, "p99_ms": 4.2, "scripts": 1.9}
    path.write_text(json.dumps({"runs": {"hidden_requests": [run, run]}, "admit": admit}))
    shown = table(path)
    assert "The service holds every bar of 0 of 1 situations." in shown
    assert "| use | at least 97 % | 98.0 % | **96.0 %** (96.0 % to 96.0 %) | **FAILS** |" in shown
    assert "| 429 share | at most 0.8 % | 0.40 % | **0.50 %** (0.50 % to 0.50 %) | holds |" in shown
    assert "| p99 | at most 5 ms | 4.2 ms | holds |" in shown


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_small_run_on_the_service() -> None:
    hidden = Hidden(rpm=600, burst_s=5, first_token_s=0.1, token_s=0.001)
    plan = shortened(replace(PLANS["hidden_requests"], hidden=hidden), 12.0)
    with room() as folder:
        results = together(replace(plan, traffic=Traffic(real_time=1.0, backlog=100)), 3, folder, ())
    figures, own = measure(results.laneway.told), results.laneway
    assert figures["attempts"] > 10
    assert own.jobs["succeeded"] > 10
    assert len(own.told.tally.bulk) > 5
    assert own.pools[0]["id"] == "main/mini-1"
    assert own.scripts["pool"] > 0
