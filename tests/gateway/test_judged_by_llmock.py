"""The whole service against `llmock`, a provider that nobody here wrote and that judges its clients.

Its limits are drawn anew in each run, and nothing here knows them.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.judging import CHARGES, stack_before
from tests.stack import ENDED, Stack, free_port, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_JOBS = 150


@dataclass(frozen=True, slots=True)
class Judge:
    """The provider, in a process of its own."""

    http: httpx.Client
    port: int

    def misbehave(self, *behaviors: dict[str, Any]) -> None:
        """What it will do to requests to come."""
        self.http.post("/_llmock/scenario", json={"behaviors": list(behaviors)}).raise_for_status()

    def verdict(self) -> dict[str, Any]:
        """What it thinks of who called."""
        found: dict[str, Any] = self.http.get("/_llmock/verdict").raise_for_status().json()
        return found

    def requests(self) -> list[dict[str, Any]]:
        """All that came."""
        found: list[dict[str, Any]] = self.http.get("/_llmock/requests").raise_for_status().json()["requests"]
        return found


@contextmanager
def judging(*options: str) -> Iterator[Judge]:
    """A running one; ended by its process id."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("llmock")), "serve", "--port", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as http:
                until(lambda: _answers(http), 30)
                yield Judge(http, port)
        finally:
            process.terminate()


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/_llmock/scenario").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def judge() -> Iterator[Judge]:
    chance = random.SystemRandom()
    limits = ("--rpm", str(chance.randint(150, 600)), "--tpm", str(chance.randint(400_000, 900_000)))
    with judging(*limits, "--latency-ms", "50", "--response-style", "varied") as running:
        yield running


@pytest.fixture
def stack(judge: Judge) -> Iterator[Stack]:
    with stack_before(f"http://127.0.0.1:{judge.port}/v1", f"http://127.0.0.1:{judge.port}/anthropic") as made:
        yield made


def test_nothing_of_what_it_warns_of(stack: Stack, judge: Judge) -> None:
    jobs = []
    for n in range(_JOBS):
        workflow = "judged-stream" if n % 3 == 0 else "judged"
        given = {"name": f"item {n}", "model": "anthropic" if n % 2 else "openai"}
        jobs.append(stack.submit(workflow, given)["id"])
        if n == 40:
            judge.misbehave(
                {"type": "fail", "status": 429, "retry_after": 2, "times": 5},
                {"type": "fail", "status": 429, "retry_after": 0.5, "times": 5},
                {"type": "fail", "status": 503, "times": 5},
                {"type": "fail", "status": 529, "times": 3},
                {"type": "fail", "status": 400, "times": 3},
                {"type": "stream_fault", "kind": "truncate", "after_chunks": 2, "times": 5},
                {"type": "stream_fault", "kind": "disconnect", "after_chunks": 2, "times": 3},
                {"type": "stream_fault", "kind": "malformed", "after_chunks": 2, "times": 3},
            )
    until(lambda: all(stack.job(job)["status"] in ENDED for job in jobs), 240)
    ends = [stack.job(job) for job in jobs]
    failed = [job for job in ends if job["status"] != "succeeded"]
    verdict = judge.verdict()
    assert not CHARGES & {finding["code"] for finding in verdict["findings"]}, verdict["findings"]
    assert verdict["faults_injected"] >= 20
    # Only what was refused as input is lost, once each.
    assert {job["error"]["class"] for job in failed} <= {"input"}
    assert len(failed) <= 3


def test_a_limit_is_found_and_kept_to(stack: Stack, judge: Judge) -> None:
    jobs = [stack.submit("judged", {"name": f"thing {n} {'x' * 200}"})["id"] for n in range(_JOBS)]
    until(lambda: all(stack.job(job)["status"] in ENDED for job in jobs), 240)
    refused = [one for one in judge.requests() if one["status"] == 429]
    assert len(refused) <= 0.05 * _JOBS
    assert not CHARGES & {finding["code"] for finding in judge.verdict()["findings"]}
