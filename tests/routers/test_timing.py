"""`Server-Timing` on every answer: its parts are named, never negative, and no longer than the whole."""

from __future__ import annotations

import re

import httpx

from tests.routers.support import nobody
from tests.stack import Stack

_PART = re.compile(r"([a-z]+);dur=(\d+\.\d)")


def timing(response: httpx.Response) -> dict[str, float]:
    """Milliseconds of each part."""
    (text,) = response.headers.get_list("server-timing")
    parts = text.split(", ")
    found = [_PART.fullmatch(part) for part in parts]
    assert all(found), text
    times = {match[1]: float(match[2]) for match in found if match}
    assert len(times) == len(parts)
    return times


def within(times: dict[str, float], *parts: str) -> None:
    """Exactly these parts and the total, which holds them all."""
    assert times.keys() == {*parts, "total"}
    # Each is rounded to a tenth.
    assert sum(times[part] for part in parts if part not in ("queue", "run")) <= times["total"] + 0.3


def test_every_kind_of_answer(stack: Stack) -> None:
    job = stack.submit("noop", {"n": 1})
    path = f"/v1/jobs/{job['id']}"
    stack.ended(job["id"])
    tag = stack.client.get(path).headers["etag"]
    for response, status in (
        (stack.client.get(path), 200),
        (stack.client.get(path, headers={"If-None-Match": tag}), 304),
        (stack.client.get(f"{path}?include=queue"), 200),
        (stack.client.get(f"{path}/output"), 200),
        (stack.client.get(f"{path}/trace"), 200),
        (stack.client.get("/v1/jobs"), 200),
        (stack.post("noop", {"n": 1}), 202),
        (stack.client.post(f"{path}/cancel"), 200),
    ):
        assert response.status_code == status, response.text
        within(timing(response), "auth", "store")


def test_errors_and_open_answers(stack: Stack) -> None:
    within(timing(nobody(stack).get("/livez")))
    within(timing(nobody(stack).get("/v1/jobs")))
    within(timing(nobody(stack).get("/nothing")))
    within(timing(stack.client.get("/v1/jobs/job_" + "0" * 26)), "auth", "store")


def test_a_wait_is_told_apart(stack: Stack) -> None:
    """What the client waited for stands beside the time that was ours; of a job that ended, queue and run."""
    response = stack.post("marks", {"journal": stack.journal, "name": "t", "steps": 1, "step_s": 0.4}, wait=20)
    assert response.status_code == 201
    times = timing(response)
    within(times, "auth", "store", "wait", "queue", "run")
    assert 400 <= times["run"] <= times["total"]
    assert times["wait"] >= 400
    held = stack.post("noop-fast", {"n": 1}, wait=1)
    assert held.status_code == 202
    assert timing(held)["wait"] >= 990
    path = f"/v1/jobs/{held.json()['id']}"
    polled = stack.client.get(path, headers={"Prefer": "wait=1"})
    within(timing(polled), "auth", "wait")
