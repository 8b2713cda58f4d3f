"""A client that leaves its stream: what it said in `on_disconnect` is done, and nothing else."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from tests.flows.events import STREAM, following, submitting
from tests.routers.support import Gate, Line, fresh, request
from tests.stack import KEY, Stack, until


def left(stack: Stack, workflow: str, given: dict[str, Any], count: int, keyed: bool, **more: Any) -> str:
    """Submit, read so many events of the stream, leave; the job's id."""
    headers = {"Idempotency-Key": fresh()} if keyed else {}
    with submitting(stack, workflow, given, headers, **more) as reading:
        events = [event for _, event in zip(range(count), reading, strict=False)]
        return str(events[-1].data["job_id"])


@pytest.mark.parametrize(
    ("policy", "lane", "end"),
    [(None, "interactive", None), ("continue", "interactive", None), ("demote", "bulk", "succeeded"),
     ("cancel", "interactive", "canceled")],
)  # fmt: skip
@pytest.mark.parametrize("keyed", [False, True])
def test_unstarted_work(stack: Stack, policy: str | None, lane: str, end: str | None, keyed: bool) -> None:
    """Only the interactive lane has no worker here: what is demoted runs. A begun stream is an answer: no default."""
    job_id = left(stack, "noop-fast", {"n": 1}, 1, keyed, **({"on_disconnect": policy} if policy else {}))
    if end is None:
        time.sleep(0.5)
        assert stack.job(job_id)["status"] == "queued"
    else:
        assert stack.ended(job_id, 8)["status"] == end
    assert stack.job(job_id)["lane"] == lane


@pytest.mark.parametrize(
    ("policy", "lane", "end"),
    [(None, "standard", "succeeded"), ("continue", "standard", "succeeded"), ("demote", "bulk", "succeeded"),
     ("cancel", "standard", "canceled")],
)  # fmt: skip
def test_started_work(stack: Stack, policy: str | None, lane: str, end: str) -> None:
    gate = Gate(stack)
    job_id = left(stack, "gated", gate.input, 2, False, **({"on_disconnect": policy} if policy else {}))
    if policy in (None, "continue"):
        time.sleep(0.3)
    until(lambda: stack.job(job_id)["lane"] == lane, 5)
    if end == "succeeded":
        gate.open()
    assert stack.ended(job_id, 8)["status"] == end


def test_who_read_to_the_end_has_not_left(stack: Stack) -> None:
    with submitting(stack, "noop", {"n": 1}, on_disconnect="cancel") as reading:
        end = list(reading)[-1].data
    time.sleep(0.2)
    assert (stack.job(end["id"])["status"], stack.job(end["id"])["revision"]) == ("succeeded", end["revision"])


def test_a_reader_that_leaves_takes_nothing_away(stack: Stack) -> None:
    job = stack.submit("noop-fast", {"n": 1}, on_disconnect="cancel")
    with following(stack, job["id"]) as reading:
        next(iter(reading))
    time.sleep(0.3)
    assert stack.job(job["id"])["status"] == "queued"


def test_who_only_met_an_equal_job_takes_nothing_away(stack: Stack) -> None:
    dedupe = {"dedupe": {"key": fresh()}}
    owner = stack.submit("noop-fast", {"n": 1}, **dedupe)
    assert left(stack, "noop-fast", {"n": 1}, 1, False, on_disconnect="cancel", **dedupe) == owner["id"]
    time.sleep(0.3)
    assert stack.job(owner["id"])["status"] == "queued"


def test_who_left_before_the_stream_began(stack: Stack) -> None:
    """Without a key: canceled, or finished before that was seen; nothing waits for nobody."""
    tag = fresh()
    line = Line(stack)
    body = orjson.dumps({"input": {"n": 1}, "tags": [tag]})
    line.send(request(stack, "POST", "/v1/workflows/noop-fast/jobs", KEY, body, Accept=STREAM))
    line.leave()

    def tagged() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = stack.client.get("/v1/jobs", params={"tag": tag}).json()["data"]
        return found

    until(lambda: [job["status"] for job in tagged()] == ["canceled"], 5)
