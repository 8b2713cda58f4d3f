"""`GET /v1/status` says of each lane what waits, why, since when, who serves it and how fast."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stack import Stack, until


def lane(stack: Stack, name: str) -> dict[str, Any]:
    """That lane's part of the answer."""
    response = stack.client.get("/v1/status")
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    return dict({one["lane"]: one for one in response.json()["lanes"]}[name])


@pytest.fixture(scope="module")
def load(stack: Stack) -> None:
    """Some that ended, some that wait for a worker, some for a clock."""
    for n in range(20):
        stack.submit("noop", {"n": n})
    for n in range(3):
        stack.submit("leaf", {"journal": stack.journal, "n": n})
    stack.submit("leaf", {"journal": stack.journal, "n": 4}, run_at="2030-01-01T00:00:00Z")
    stack.submit("branch", {"journal": stack.journal, "leaves": 2})
    until(lambda: lane(stack, "standard")["ended_last_minute"] == 20)
    until(lambda: lane(stack, "bulk")["queued"] == 5)


def test_a_lane_that_nobody_serves(stack: Stack, load: None) -> None:
    bulk = lane(stack, "bulk")
    assert 0 < bulk.pop("oldest_s") < 120
    assert bulk == {
        "lane": "bulk", "queued": 5, "scheduled": 1, "waiting": 0, "running": 0, "reasons": {"run_at": 1}, "due": 5,
        "eta_s": None, "ended_last_minute": 0, "paused": False, "workers": 0, "slots": 0, "slots_in_use": 0,
    }  # fmt: skip


def test_a_lane_with_two_workers(stack: Stack, load: None) -> None:
    until(lambda: lane(stack, "standard")["slots_in_use"] == 0)
    standard = lane(stack, "standard")
    assert (standard["workers"], standard["slots"]) == (2, 200)
    assert (standard["waiting"], standard["reasons"]) == (1, {"children": 1})
    assert (standard["due"], standard["eta_s"], standard["oldest_s"]) == (0, 0.0, 0.0)


def test_processes_and_parts(stack: Stack, load: None) -> None:
    found = stack.client.get("/v1/status").json()
    assert found["parts"] == {"database": "ok", "redis": "ok"}
    assert found["processes"] == {"serve": 1, "work": 2}
    assert found["provider_simulated"] is True
    assert sorted(worker["pid"] for worker in found["workers"]) == sorted(one.pid for one in stack.processes[:2])
    assert {tuple(worker["lanes"]) for worker in found["workers"]} == {
        ("interactive", "standard", "delivery"),
        ("standard",),
    }
    assert all(0 <= worker["beat_age_s"] < 5 for worker in found["workers"])


def test_a_paused_lane(stack: Stack, load: None) -> None:
    stack.sql("insert into pauses (kind, name) values ('lane', 'bulk')")
    until(lambda: lane(stack, "bulk")["paused"])
    stack.sql("delete from pauses")
    until(lambda: not lane(stack, "bulk")["paused"])


def test_what_is_left_takes_as_long_as_what_ended(stack: Stack, load: None) -> None:
    """One slot, and steps of half a second: with n to go, about n halves of a second are left."""
    worker = stack.start_worker("bulk", LANEWAY_LANES__BULK__SLOTS="1")
    until(lambda: lane(stack, "bulk")["workers"] == 1 and lane(stack, "bulk")["due"] == 0, 40)
    for _ in range(24):
        stack.submit("marks", {"journal": stack.journal, "name": "m", "steps": 1, "step_s": 0.5}, lane="bulk")
    until(lambda: lane(stack, "bulk")["ended_last_minute"] >= 12, 40)
    bulk = lane(stack, "bulk")
    assert bulk["due"] > 0
    assert 0.2 * bulk["due"] < bulk["eta_s"] < 1.5 * bulk["due"], bulk
    worker.stop()
