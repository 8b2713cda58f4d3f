"""A part outside is away, on the whole stack: its breaker opens, jobs wait or go another way, and nothing is lost."""

from __future__ import annotations

import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.flows.catalogue import lines_of
from tests.stack import ROOT, Stack, free_port, running_stack, until
from tests.supervise.embedded import open_folder

_SCHEDULE = "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"


@pytest.fixture(scope="module")
def ways() -> Iterator[Stack]:
    """Two workers of two slots each, which share their breakers."""
    extra = {
        "LANEWAY_WORKFLOWS": "tests.flows.ways",
        "LANEWAY_LANES__STANDARD__SLOTS": "2",
        "LANEWAY_QUEUE__MEND_SCHEDULE_S": _SCHEDULE,
    }
    with open_folder() as folder, running_stack(folder, **extra) as made:
        made.start_worker()
        made.start_worker()
        made.start_api()
        yield made


class _Line(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"Ada\n")


@contextmanager
def answering(port: int) -> Iterator[None]:
    """Somebody is there."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), _Line) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def outside(ways: Stack) -> dict[str, Any]:
    """A part outside of this test's own, where nobody is yet."""
    name = uuid4().hex
    Path(ways.folder / name).touch()
    return {"port": free_port(), "journal": str(ways.folder / name), "breaker": name}


def stands(stack: Stack, jobs: list[str], where: Callable[[dict[str, Any]], bool]) -> bool:
    """Whether that is so of all jobs."""
    return all(where(stack.job(job)) for job in jobs)


def test_held_jobs_use_no_attempt_and_all_succeed_when_it_is_back(ways: Stack, outside: dict[str, Any]) -> None:
    jobs = [str(ways.submit("reaches", outside)["id"]) for _ in range(30)]
    until(lambda: stands(ways, jobs, lambda job: job["status"] in ("waiting", "scheduled")), 60)
    reasons = [ways.job(job)["reason"] for job in jobs]
    assert reasons.count("provider_down") >= 20
    # Ten in a row open it; those that were on their way then, and probes since, come on top.
    assert lines_of(outside["journal"]) < 30
    with answering(outside["port"]):
        ended = [ways.ended(job, 90) for job in jobs]
    assert {(job["status"], job["output"]) for job in ended} == {("succeeded", "Ada")}
    assert sum(job["attempt"] - 1 for job in ended) <= 14
    assert sum(job["attempt"] == 1 for job in ended) >= 16


def by_hand(stack: Stack, *words: str) -> str:
    """What `laneway breaker` prints."""
    command = [sys.executable, "-m", "app", "breaker", *words]
    ended = subprocess.run(command, env=stack.environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_a_breaker_is_forced_by_hand(ways: Stack, outside: dict[str, Any]) -> None:
    name = outside["breaker"]
    assert by_hand(ways, name) == "closed"
    assert by_hand(ways, name, "open") == "open"
    with answering(outside["port"]):
        job_id = str(ways.submit("reaches", outside)["id"])
        until(lambda: ways.job(job_id)["reason"] == "provider_down", 60)
        assert lines_of(outside["journal"]) == 0
        why = f"step 'reach' was not tried: the breaker {name!r} is open"
        queue = ways.client.get(f"/v1/jobs/{job_id}", params={"include": "queue"}).json()["queue"]
        assert queue["explanation"].startswith(f"waiting: {why} (provider_down), looks again in")
        *_, wait = _waits(ways, job_id)
        assert (wait["attributes"]["step"], wait["attributes"]["error_detail"]) == ("reach", why)
        assert wait["ended_at"] is None
        by_hand(ways, name, "auto")
        assert ways.ended(job_id, 60)["output"] == "Ada"
    acts = [act["tags"] for act in ways.client.get("/v1/audit").json()["data"] if act["action"] == "breakers.force"]
    assert acts[:2] == [[name, "auto"], [name, "open"]]


def _waits(ways: Stack, job_id: str) -> list[dict[str, Any]]:
    """What its timeline says of the times when its breaker was open."""
    spans = ways.client.get(f"/v1/jobs/{job_id}/trace").json()["spans"]
    return [span for span in spans if (span["kind"], span["name"]) == ("wait", "provider_down")]


def held(stack: Stack, workflow: str, given: dict[str, Any], count: int) -> list[str]:
    """Jobs that wait for a part outside; by the clock alone they would do so for an hour."""
    jobs = [str(stack.submit(workflow, given)["id"]) for _ in range(count)]
    until(lambda: all(stack.job(job)["reason"] == "provider_down" for job in jobs), 60)
    stack.sql("update jobs set due_at = now() + interval '1 hour' where reason = 'provider_down' returning id")
    return jobs


def test_who_is_held_comes_back_as_the_breaker_closes(ways: Stack, outside: dict[str, Any]) -> None:
    name = outside["breaker"]
    by_hand(ways, name, "open")
    with answering(outside["port"]):
        jobs = held(ways, "reaches", outside, 30)
        by_hand(ways, name, "auto")
        assert {ways.ended(job, 60)["output"] for job in jobs} == {"Ada"}


@pytest.mark.slow
def test_who_is_held_by_a_pool_comes_back_as_its_breaker_closes(ways: Stack) -> None:
    path = "/v1/pools/simulated/small-sim/breaker"
    assert ways.ended(str(ways.submit("asks-plainly", {"text": "hello"})["id"]))["status"] == "succeeded"
    ways.client.post(path, json={"state": "open"}).raise_for_status()
    jobs = held(ways, "asks-plainly", {"text": "hello"}, 30)
    ways.client.post(path, json={"state": "auto"}).raise_for_status()
    assert {ways.ended(job, 60)["status"] for job in jobs} == {"succeeded"}


def test_another_way_is_taken_and_told(ways: Stack, outside: dict[str, Any]) -> None:
    ended = [ways.ended(str(ways.submit("reaches-or-guesses", outside)["id"])) for _ in range(12)]
    assert {(job["status"], job["output"]) for job in ended} == {("succeeded", "guessed")}
    assert all(job["degraded"] == [{"step": "reach", "reason": "fallback_function"}] for job in ended)
    # Behind the open breaker nobody is asked any more, but by a probe now and then.
    assert lines_of(outside["journal"]) < 24
    spans = ways.client.get(f"/v1/jobs/{ended[-1]['id']}/trace").json()["spans"]
    assert [span["attributes"]["via"] for span in spans if span["kind"] == "step"] == ["fallback_function"]


def test_keywords_decide_while_the_model_is_away(ways: Stack) -> None:
    ways.provider.set_faults(down="503")
    try:
        texts = ["I want my money back at once", "Thank you"] * 15
        ended = [ways.ended(str(ways.submit("urgency", {"text": text})["id"])) for text in texts]
        calls = ways.sql("select count(*) from calls where outcome = 'failed'")[0]["count"]
    finally:
        ways.provider.reset_faults()
    assert [job["output"]["label"] for job in ended] == ["urgent", "calm"] * 15
    assert all(job["degraded"] == [{"step": "urgency", "reason": "fallback_function"}] for job in ended)
    # Without a breaker it would be sixty; twenty at most open it, and then there are only probes.
    assert 0 < calls < 45
    assert all(job["attempt"] == 1 for job in ended)


def test_a_job_is_delivered_without_and_completed_later(ways: Stack, outside: dict[str, Any]) -> None:
    path = f"/{outside['breaker']}"
    hook = {"url": ways.hooks.answer(path), "events": ["job.succeeded", "job.updated"]}
    job_id = str(ways.submit("does-without", outside, webhook=hook)["id"])
    first = ways.ended(job_id)
    assert first["output"] == {"letter": "Dear customer", "sent": 1}
    assert first["degraded"] == [{"step": "reach", "reason": "dependency_failed"}]
    with answering(outside["port"]):
        until(lambda: ways.job(job_id)["degraded"] == [], 60)
    after = ways.job(job_id)
    assert (after["status"], after["output"]) == ("succeeded", {"letter": "Dear Ada", "sent": 1})
    assert after["revision"] > first["revision"]
    assert after["ended_at"] == first["ended_at"]
    assert Path(outside["journal"]).read_text().splitlines().count("send") == 1
    events = ways.client.get(f"/v1/jobs/{job_id}/events").json()["data"]
    assert [event["type"] for event in events][-2:] == ["job.succeeded", "job.updated"]
    until(lambda: len(ways.hooks.received(path)) == 2, 30)
    assert not ways.sql("select * from mends")


@pytest.mark.slow
def test_what_is_never_there_is_given_up_and_the_job_stands(ways: Stack, outside: dict[str, Any]) -> None:
    job_id = str(ways.submit("does-without", outside)["id"])
    first = ways.ended(job_id)
    until(lambda: not ways.sql("select * from mends"), 90)
    after = ways.job(job_id)
    assert (after["output"], after["degraded"]) == (first["output"], first["degraded"])
    assert after["revision"] == first["revision"]
    assert lines_of(outside["journal"]) == 2 + 2 * 10 + 1
