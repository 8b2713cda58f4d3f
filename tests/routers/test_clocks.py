"""The client's clocks: when to start, when to give up, how long to keep."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.routers.support import fresh, problem, untouched
from tests.stack import Stack, until


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_a_later_start(stack: Stack) -> None:
    job = stack.submit("noop", {"n": 1}, run_at=at(1.5))
    assert (job["status"], job["reason"], job["terminal"]) == ("scheduled", "run_at", False)
    done = stack.ended(job["id"])
    assert done["status"] == "succeeded"
    assert datetime.fromisoformat(done["started_at"]) - datetime.fromisoformat(job["created_at"]) >= timedelta(
        seconds=1.3
    )


@pytest.mark.parametrize(
    "past", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "2020-02-29T12:00:00-05:00"]
)
def test_a_start_in_the_past_is_now(stack: Stack, past: str) -> None:
    """It overtakes nobody, and its clocks run from now."""
    job = stack.submit("noop-fast", {"n": 1}, run_at=past, start_within="1h", finish_within="2h")
    assert (job["status"], job["reason"]) == ("queued", None)
    (row,) = stack.sql("select due_at, created_at, expire_by from jobs where trace_id = $1", job["trace"]["trace_id"])
    assert row["due_at"] >= row["created_at"]
    assert row["expire_by"] >= row["created_at"] + timedelta(minutes=59)
    assert datetime.fromisoformat(job["deadline"]) > datetime.now(UTC) + timedelta(hours=1)


DURATIONS = (
    "0s", "0.0s", "-1s", "1", "1y", "s", "", "30 s", "1e3s", "366.1d", "999999999d", "9" * 400 + "s", 30, 1e308, True,
    "30s\n", "٣s",
)  # fmt: skip
BAD = [
    ("run_at", "9999-12-31T23:59:59Z"), ("run_at", "9999-12-31T23:59:59-14:00"), ("run_at", "3000-01-01T00:00:00Z"),
    ("run_at", "10000-01-01T00:00:00Z"), ("run_at", "2026-02-30T00:00:00Z"), ("run_at", "2030-01-01T00:00:00"),
    ("run_at", "2030-01-01"), ("run_at", "tomorrow"), ("run_at", ""), ("run_at", 0), ("run_at", 1e30), ("run_at", True),
    ("run_at", "1900000000"), ("run_at", []), ("run_at", 2**70),
    *[(name, value) for name in ("start_within", "finish_within", "retain_for") for value in DURATIONS],
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_time_or_duration_out_of_range(stack: Stack, name: str, value: Any) -> None:
    with untouched(stack):
        problem(stack.post("noop", {"n": 1}, **{name: value}), "input_invalid", f"/{name}")


@pytest.mark.parametrize("name", ["start_within", "finish_within", "retain_for"])
def test_the_longest_and_the_shortest(stack: Stack, name: str) -> None:
    for text in ("366d", "1ms", "8784h", "1.5h"):
        run_at = {"run_at": at(86400 * 365)} if name != "retain_for" else {}
        assert stack.post("noop-fast", {"n": 1}, **{name: text}, **run_at).status_code == 202


def test_what_did_not_start_in_time_expires(stack: Stack) -> None:
    job = stack.submit("noop-fast", {"n": 1}, start_within="300ms")
    done = stack.ended(job["id"], 5)
    assert (done["status"], done["terminal"], done["error"]["code"]) == ("expired", True, "start_timeout")
    assert done["started_at"] is None
    assert done["ended_at"] is not None


def test_what_did_not_finish_in_time_expires(stack: Stack) -> None:
    running = stack.submit(
        "marks", {"journal": stack.journal, "name": fresh(), "steps": 1, "step_s": 20}, finish_within="1s"
    )
    queued = stack.submit("noop-fast", {"n": 1}, finish_within="300ms")
    for job, started in ((running, True), (queued, False)):
        done = stack.ended(job["id"], 6)
        assert (done["status"], done["error"]["code"]) == ("expired", "run_timeout")
        assert (done["started_at"] is not None) == started
        assert done["deadline"] is not None


def test_a_wait_sees_the_expiry(stack: Stack) -> None:
    answer = stack.post("noop-fast", {"n": 1}, start_within="300ms", wait=10)
    assert (answer.status_code, answer.json()["status"]) == (201, "expired")


def test_what_expired_can_be_retried_with_new_clocks(stack: Stack) -> None:
    job = stack.submit("noop-fast", {"n": 1}, start_within="300ms")
    stack.ended(job["id"], 5)
    assert stack.client.post(f"/v1/jobs/{job['id']}/retry").status_code == 202
    assert stack.job(job["id"])["status"] == "queued"
    assert stack.ended(job["id"], 5)["error"]["code"] == "start_timeout"


def test_a_result_that_is_no_longer_kept_is_gone_and_not_unknown(stack: Stack) -> None:
    job = stack.submit("noop", {"n": 7}, retain_for="500ms", wait=20, metadata={"mine": "1"})
    path = f"/v1/jobs/{job['id']}"
    assert stack.client.get(path + "/output").json() == {"n": 7}
    until(lambda: stack.client.get(path).status_code == 410, 4)
    tag = {"If-None-Match": f'"r{job["revision"]}"'}
    for answer in (
        stack.client.get(path), stack.client.get(path, headers=tag),
        stack.client.get(path, headers={"Prefer": "wait=5"}), stack.client.get(path + "/output"),
        stack.client.get(path + "/trace"), stack.client.post(path + "/retry"),
    ):  # fmt: skip
        found = problem(answer, "result_expired")
        assert (found["job"]["id"], found["job"]["status"], found["job"]["metadata"]) == (
            job["id"],
            "succeeded",
            {"mine": "1"},
        )
        assert "output" not in found["job"]
        assert "input" not in found["job"]


def test_a_live_job_is_kept_whatever_retain_for_says(stack: Stack) -> None:
    job = stack.submit("noop-fast", {"n": 1}, retain_for="1ms")
    time.sleep(0.1)
    assert stack.client.get(f"/v1/jobs/{job['id']}").status_code == 200
