"""A client that waits and leaves: a real socket, closed in the middle."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from tests.routers.support import Gate, Line, fresh, request
from tests.stack import KEY, Stack, until


def leave(stack: Stack, workflow: str, until_status: str, given: dict[str, Any], **more: Any) -> str:
    """Submit and wait, leave once the job has that status; its id."""
    tag, headers = fresh(), {"Prefer": "wait=30"}
    if "key" in more:
        headers["Idempotency_Key"] = more.pop("key")
    line = Line(stack)
    body = orjson.dumps({"input": given, "tags": [tag], **more})
    line.send(request(stack, "POST", f"/v1/workflows/{workflow}/jobs", KEY, body, **headers))
    until(lambda: [job["status"] for job in _tagged(stack, tag)] == [until_status])
    line.leave()
    return str(_tagged(stack, tag)[0]["id"])


def _tagged(stack: Stack, tag: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.client.get("/v1/jobs", params={"tag": tag}).json()["data"]
    return found


def test_unstarted_work_nobody_waits_for_is_canceled(stack: Stack) -> None:
    job_id = leave(stack, "noop-fast", "queued", {"n": 1})
    assert stack.ended(job_id, 5)["status"] == "canceled"


def test_started_work_nobody_waits_for_goes_on_in_the_bulk_lane(stack: Stack) -> None:
    gate = Gate(stack)
    job_id = leave(stack, "gated", "running", gate.input)
    until(lambda: stack.job(job_id)["lane"] == "bulk", 5)
    assert stack.job(job_id)["revision"] == 3
    gate.open()
    assert stack.ended(job_id)["status"] == "succeeded"


def test_a_client_with_a_key_may_come_back(stack: Stack) -> None:
    job_id = leave(stack, "noop-fast", "queued", {"n": 1}, key=fresh())
    time.sleep(0.5)
    assert (stack.job(job_id)["status"], stack.job(job_id)["lane"]) == ("queued", "interactive")


@pytest.mark.parametrize(
    ("policy", "lane", "end"),
    [("continue", "interactive", None), ("demote", "bulk", "succeeded"), ("cancel", "interactive", "canceled")],
)
@pytest.mark.parametrize("keyed", [False, True])
def test_an_explicit_wish_about_unstarted_work(
    stack: Stack, policy: str, lane: str, end: str | None, keyed: bool
) -> None:
    """Only the interactive lane has no worker here: what is demoted runs."""
    key = {"key": fresh()} if keyed else {}
    job_id = leave(stack, "noop-fast", "queued", {"n": 1}, on_disconnect=policy, **key)
    if end is None:
        time.sleep(0.5)
        assert stack.job(job_id)["status"] == "queued"
    else:
        assert stack.ended(job_id, 8)["status"] == end
    assert stack.job(job_id)["lane"] == lane


@pytest.mark.parametrize(
    ("policy", "lane", "end"),
    [("continue", "standard", "succeeded"), ("demote", "bulk", "succeeded"), ("cancel", "standard", "canceled")],
)
@pytest.mark.parametrize("keyed", [False, True])
def test_an_explicit_wish_about_started_work(stack: Stack, policy: str, lane: str, end: str, keyed: bool) -> None:
    gate, key = Gate(stack), {"key": fresh()} if keyed else {}
    job_id = leave(stack, "gated", "running", gate.input, on_disconnect=policy, **key)
    if policy == "continue":
        time.sleep(0.3)
    until(lambda: stack.job(job_id)["lane"] == lane, 5)
    if end == "succeeded":
        gate.open()
    assert stack.ended(job_id, 8)["status"] == end


def test_who_got_an_answer_may_leave(stack: Stack) -> None:
    line = Line(stack)
    line.send(request(stack, "POST", "/v1/workflows/noop-fast/jobs", KEY, b'{"input":{"n":1}}', Prefer="wait=0"))
    answer = line.answer()
    assert b" 202 " in answer
    line.leave()
    time.sleep(0.3)
    job = orjson.loads(answer.partition(b"\r\n\r\n")[2])
    assert stack.job(job["id"])["status"] == "queued"


def test_who_only_met_an_equal_job_takes_nothing_away(stack: Stack) -> None:
    dedupe = {"dedupe": {"key": fresh()}}
    owner = stack.submit("noop-fast", {"n": 1}, **dedupe)
    line = Line(stack)
    body = orjson.dumps({"input": {"n": 1}, "on_disconnect": "cancel", **dedupe})
    line.send(request(stack, "POST", "/v1/workflows/noop-fast/jobs", KEY, body, Prefer="wait=30"))
    time.sleep(0.5)
    line.leave()
    time.sleep(0.5)
    assert (stack.job(owner["id"])["status"], stack.job(owner["id"])["lane"]) == ("queued", "interactive")


def test_a_reader_that_leaves_takes_nothing_away(stack: Stack) -> None:
    job = stack.submit("noop-fast", {"n": 1})
    line = Line(stack)
    line.send(request(stack, "GET", f"/v1/jobs/{job['id']}", KEY, Prefer="wait=30"))
    time.sleep(0.3)
    line.leave()
    time.sleep(0.3)
    assert stack.job(job["id"])["status"] == "queued"
