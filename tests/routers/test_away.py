"""The record or the doorbell is away: what a client is told, and that it is told at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx

from tests.routers.support import Database, fresh, problem
from tests.stack import Stack, until


@contextmanager
def away(stack: Stack, part: str) -> Iterator[None]:
    """PostgreSQL or Valkey is killed, and started again at the end."""
    Database.forget(stack)
    server = getattr(stack.servers, part)
    server.kill()
    try:
        yield
    finally:
        server.start()
        until(lambda: stack.client.get("/readyz").json()["status"] == "ok", 15)


def test_without_the_record_everything_is_a_problem_that_says_to_come_back(stack: Stack) -> None:
    job = stack.submit("noop-fast", {"n": 1})
    key = fresh()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(stack.post, "noop-fast", {"n": 1}, wait=30)
        time.sleep(0.7)
        with away(stack, "postgres"):
            answers = [
                stack.post("noop", {"n": 1}, key=key),
                stack.client.get(f"/v1/jobs/{job['id']}"),
                stack.client.get("/v1/jobs"),
                stack.client.post(f"/v1/jobs/{job['id']}/cancel"),
                stack.client.get("/v1/status"),
            ]
            ready = stack.client.get("/readyz")
            assert stack.client.get("/livez").status_code == 200
            held = waiting.result(10)
    for answer in answers:
        assert problem(answer, "reduced_capacity")["retry_after_s"] >= 1
    assert (ready.status_code, ready.json()["status"], ready.json()["parts"]["database"]) == (503, "away", "away")
    assert (held.status_code, held.json()["status"]) == (202, "queued")
    assert stack.job(held.json()["id"])["status"] == "queued"
    assert stack.post("noop", {"n": 1}, key=key, wait=20).json()["status"] == "succeeded"


def test_without_the_doorbell_work_is_taken_and_waited_for(stack: Stack) -> None:
    with away(stack, "valkey"):
        ready = stack.client.get("/readyz")
        began = time.monotonic()
        answers: list[httpx.Response] = [
            stack.post("noop-fast", {"n": n}, start_within="300ms", wait=10) for n in range(2)
        ]
        took = time.monotonic() - began
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(201, "expired")] * 2
    assert took < 10
    assert stack.submit("noop", {"n": 1}, wait=20)["status"] == "succeeded"
