"""`Prefer` on a submit: who waits how long, and what is answered."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.routers.support import Keys
from tests.stack import Stack, bearer


def timed(stack: Stack, workflow: str, input: Any, prefer: str, **more: Any) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    answer = stack.client.post(
        f"/v1/workflows/{workflow}/jobs", json={"input": input, **more}, headers={"Prefer": prefer}
    )
    return answer, time.monotonic() - began


@pytest.mark.parametrize(
    "prefer", ["wait=20", "Wait=20", "foo=bar, wait=20", "wait = 20", 'wait="20"', "wait=20; x=y", "wait=20, wait=0"]
)
def test_a_wait_in_every_form(stack: Stack, prefer: str) -> None:
    answer, _ = timed(stack, "noop", {"n": 1}, prefer)
    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.json()["terminal"] is True
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(
    "prefer",
    [
        "wait",
        "wait=",
        "wait=x",
        "wait=-1",
        "wait=1.5",
        "wait=²",
        "wait=1e3",
        "",
        ",,",
        "=",
        "x" * 4000,
        "return=minimal",
    ],
)
def test_a_malformed_preference_is_ignored(stack: Stack, prefer: str) -> None:
    began = time.monotonic()
    headers = {b"Prefer": prefer.encode("latin-1")}
    answer = stack.client.post("/v1/workflows/noop-fast/jobs", json={"input": {"n": 1}}, headers=headers)
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers
    assert int(answer.headers["retry-after"]) >= 1
    assert time.monotonic() - began < 10


def test_asynchronous_is_echoed(stack: Stack) -> None:
    answer, took = timed(stack, "noop-fast", {"n": 1}, "respond-async")
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
    assert took < 10


def test_a_wait_before_asynchronous(stack: Stack) -> None:
    """RFC 7240, 4.3: wait that long, then go on asynchronously."""
    answer, _ = timed(stack, "noop", {"n": 1}, "respond-async, wait=20")
    assert (answer.status_code, answer.headers["preference-applied"]) == (201, "respond-async, wait=20")


def test_a_wait_ends_in_202(stack: Stack) -> None:
    answer, took = timed(stack, "noop-fast", {"n": 1}, "wait=1")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    assert 1 <= took < 10


def test_a_wait_is_coerced_to_the_servers_maximum(strict: Stack, keys: Keys) -> None:
    own = bearer(keys.mint(project="coerced").text)
    began = time.monotonic()
    answer = strict.client.post(
        "/v1/workflows/noop-fast/jobs", json={"input": {"n": 1}}, headers={**own, "Prefer": "wait=99999999999999999999"}
    )
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=1")
    assert time.monotonic() - began < 10
    assert answer.headers["location"] == f"https://laneway.example/v1/jobs/{answer.json()['id']}"
    assert answer.json()["urls"]["self"] == answer.headers["location"]


def test_a_known_later_time_ends_the_wait_at_once(stack: Stack) -> None:
    later = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    answer, took = timed(stack, "noop", {"n": 1}, "wait=20", run_at=later)
    assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (202, "scheduled", "run_at")
    assert took < 10
    assert 200 <= int(answer.headers["retry-after"]) <= 301


def test_a_sleep_that_ends_within_the_wait_is_waited_for(stack: Stack) -> None:
    given = {"journal": stack.journal, "name": "n", "step_s": 1.2}
    answer, _ = timed(stack, "naps", given, "wait=20")
    assert (answer.status_code, answer.json()["status"]) == (201, "succeeded")


def test_a_failure_while_running_is_inside_a_2xx(stack: Stack) -> None:
    answer, _ = timed(stack, "wrong", {"kind": "input"}, "wait=20")
    job = answer.json()
    assert (answer.status_code, job["status"], job["disposition"]) == (201, "failed", "quarantine")
    assert (job["error"]["code"], job["error"]["class"], job["error"]["retryable"]) == ("input_invalid", "input", False)
