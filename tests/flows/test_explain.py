"""`jobs explain` and `?include=queue`: a true sentence for real jobs in every place where a job can stand."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain import ids
from tests.routers.support import Keys
from tests.stack import KEY, ROOT, Stack, bearer, running_stack, until
from tests.supervise.embedded import open_folder

_WORKFLOWS = "tests.flows.catalogue,tests.flows.family"
_SECONDS = r"\d+(\.\d)? s"


def closed_hours() -> str:
    """Hours that begin in about two hours."""
    start = datetime.now(UTC) + timedelta(hours=2)
    return f"{start:%H}:00-{start + timedelta(hours=3):%H}:00 UTC"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    """An API; a worker with two slots for `standard`; nobody serves `interactive`, and `bulk` has its hours."""
    environment = {
        "LANEWAY_WORKFLOWS": f"{_WORKFLOWS},tests.flows.stands",
        "LANEWAY_LANES__BULK__OFF_PEAK": closed_hours(),
        "LANEWAY_LANES__STANDARD__SLOTS": "2",
        "LANEWAY_GATEWAY__RATE_LIMIT_WAIT_S": "90",
    }
    with running_stack(folder, **environment) as made:
        made.start_worker("standard")
        made.start_api()
        yield made


def queue(stack: Stack, job: dict[str, Any]) -> dict[str, Any]:
    """What is said of the job's place; beside the whole job, and never kept."""
    response = stack.client.get(f"/v1/jobs/{job['id']}", params={"include": "queue"})
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "private, no-store"
    assert "etag" not in response.headers
    body = response.json()
    assert body["id"] == job["id"]
    assert body["queue"]["explanation"].startswith(f"{body['status']}: ")
    return dict(body["queue"])


def says(stack: Stack, job: dict[str, Any], pattern: str) -> dict[str, Any]:
    """Wait until the sentence is this one; what else is said then."""
    seen: set[str] = set()

    def said() -> bool:
        seen.add(queue(stack, job)["explanation"])
        return any(re.fullmatch(pattern, one) for one in seen)

    try:
        until(said)
    except AssertionError:
        raise AssertionError(f"{pattern} is not in {seen}") from None
    return queue(stack, job)


@pytest.fixture
def full(stack: Stack, folder: Path) -> Iterator[list[dict[str, Any]]]:
    """Both slots are taken for as long as the test takes."""
    gate = folder / ids.uuid7().hex
    jobs = [stack.submit("holds", {"path": str(gate)}, priority=9) for _ in range(2)]
    until(lambda: all(stack.job(job["id"])["status"] == "running" for job in jobs))
    yield jobs
    gate.touch()
    for job in jobs:
        stack.ended(job["id"])
    until(
        lambda: stack.sql("select count(*) as n from jobs where status = 'queued' and lane = 'standard'")[0]["n"] == 0
    )


def test_ahead_follows_the_order_of_claims(stack: Stack, full: list[dict[str, Any]]) -> None:
    late = [stack.submit("noop", {"n": n}) for n in range(5)]
    first = stack.submit("noop", {"n": 5}, priority=9)
    last = stack.submit("noop", {"n": 6}, priority=0)
    assert [queue(stack, job)["ahead"] for job in (first, *late, last)] == [0, 1, 2, 3, 4, 5, 6]
    found = says(stack, late[4], rf"queued: 5 ahead in standard, about {_SECONDS}")
    assert (found["position"], found["workers"], found["slots"]) == (6, 1, 2)
    until(lambda: queue(stack, late[4])["slots_in_use"] == 2)
    assert found["eta_s"] > 0
    says(stack, first, rf"queued: none ahead in standard, about {_SECONDS}")


def test_other_projects_take_their_turns(stack: Stack) -> None:
    """Two floods at once: what was said to be ahead is about what was started before."""
    other = Keys(stack.servers.database_url).mint("jobs:write", project="rivals").text
    stack.sql("insert into pauses (kind, name) values ('lane', 'standard')")
    rivals = [
        stack.client.post("/v1/workflows/noop/jobs", json={"input": {"n": n}}, headers=bearer(other)) for n in range(60)
    ]
    assert {answer.status_code for answer in rivals} == {202}
    own = [stack.submit("noop", {"n": n}) for n in range(40)]
    asked = [own[n] for n in (5, 15, 25, 35)]
    said = [queue(stack, job)["ahead"] for job in asked]
    stack.sql("delete from pauses")
    for job in own:
        stack.ended(job["id"])
    starts = [row["id"] for row in stack.sql("select id from jobs where workflow = 'noop' order by started_at")]
    first = min(starts.index(ids.read("job", job["id"])) for job in (*own, *(answer.json() for answer in rivals)))
    real = [starts.index(ids.read("job", job["id"])) - first for job in asked]
    for expected, found in zip(said, real, strict=True):
        assert abs(expected - found) <= 4 + 0.1 * found, (said, real)
    assert said == sorted(said)


def test_what_no_claim_takes_is_not_ahead(stack: Stack, full: list[dict[str, Any]]) -> None:
    paused = stack.submit("echo", {"value": 1}, priority=9)
    stack.submit("noop", {"n": 1}, priority=9, run_at=soon(3600))
    job = stack.submit("noop", {"n": 1})
    assert queue(stack, job)["ahead"] == 1
    stack.sql("insert into pauses (kind, name) values ('workflow', 'echo')")
    try:
        assert queue(stack, job)["ahead"] == 0
        found = says(stack, paused, "queued: the workflow echo is paused, none ahead in standard")
        assert found["paused"] is True
        stack.sql("insert into pauses (kind, name) values ('lane', 'standard')")
        says(stack, job, "queued: the lane standard is paused, none ahead in standard")
    finally:
        stack.sql("delete from pauses")


def test_running(stack: Stack, full: list[dict[str, Any]]) -> None:
    pid = stack.processes[0].pid
    found = says(stack, full[0], rf"running: step hold for {_SECONDS}, attempt 1, on [\w.-]+:{pid}")
    (step,) = found["steps"]
    assert (step["name"], step["key"]) == ("hold", None)
    assert found["worker"]["pid"] == pid and found["worker"]["alive"] is True
    assert (found["position"], found["due_at"]) == (None, None)


def test_a_lane_without_workers(stack: Stack) -> None:
    jobs = [stack.submit("noop-fast", {"n": n}) for n in range(3)]
    found = says(stack, jobs[2], r"queued: no worker serves interactive, \d+ ahead in interactive")
    assert (found["eta_s"], found["workers"], found["ahead"]) == (None, 0, 2)


def test_what_a_clock_decides(stack: Stack) -> None:
    at = soon(7200)
    shown = at.replace("T", " ").replace("Z", " UTC")
    job = stack.submit("noop", {"n": 1}, run_at=at)
    found = says(stack, job, f"scheduled: starts at {shown}, in (2 h|1 h 59 min)")
    assert found["due_at"] == at
    says(stack, stack.submit("noop", {"n": 1}, lane="bulk"), r"scheduled: off-peak hours begin at .*:00:00 UTC, in .*")
    nap = stack.submit("sleeps", {"seconds": 600})
    says(stack, nap, r"scheduled: sleeps until 20.* UTC, 9 min \d+ s more")


def test_a_retry(stack: Stack) -> None:
    job = stack.submit("limps", {"seconds": 300})
    pattern = r"scheduled: attempt 2 in (\d min )?\d+(\.\d)? s, after dependency_failed \(transient\) in step reach"
    says(stack, job, pattern)


def test_a_time_that_has_come(stack: Stack, full: list[dict[str, Any]]) -> None:
    """A sleep that is over waits for a slot like any other."""
    job = stack.submit("noop", {"n": 1}, run_at=soon(1))
    says(stack, job, rf"scheduled: its time has come \(run_at\), none ahead in standard, about {_SECONDS}")


def test_children(stack: Stack, folder: Path) -> None:
    parent = stack.submit("branch", {"journal": stack.journal, "leaves": 10})
    says(stack, parent, "waiting: 0 of 10 children have ended")
    child = stack.sql("select id from jobs where parent_id = $1 limit 1", ids.read("job", parent["id"]))[0]["id"]
    assert stack.client.post(f"/v1/jobs/{ids.show('job', child)}/cancel").status_code == 200
    found = says(stack, parent, "waiting: 1 of 10 children have ended")
    assert found["children"] == {"total": 10, "ended": 1}


def test_an_ordering_key(stack: Stack, full: list[dict[str, Any]]) -> None:
    jobs = [stack.submit("noop", {"n": n}, ordering_key="one after the other") for n in range(3)]
    says(stack, jobs[1], rf"queued: behind {jobs[0]['id']} \(queued\), by its ordering key")
    found = says(stack, jobs[2], rf"queued: behind {jobs[1]['id']} \(queued\) and 1 more, by its ordering key")
    assert (found["behind"], found["ahead"], found["due_at"]) == (jobs[1]["id"], 2, None)


@pytest.mark.slow
def test_a_rate_limit(stack: Stack) -> None:
    stack.provider.set_faults(error_rates={"rate_limited": 1})
    try:
        job = stack.submit("asks", {"text": "too many"})
        why = "the provider's rate limit is used up"
        pattern = rf"waiting: {why} \(rate_limit\), looks again in .*"
        says(stack, job, pattern)
    finally:
        stack.provider.reset_faults()
    stack.client.post(f"/v1/jobs/{job['id']}/cancel")


def test_a_workflow_that_its_worker_does_not_know(stack: Stack, folder: Path) -> None:
    worker = stack.start_worker("interactive", LANEWAY_WORKFLOWS=_WORKFLOWS)
    stack.sql("update jobs set lane = 'interactive' where workflow = 'unknown-to-workers'")
    job = stack.submit("unknown-to-workers", {"seconds": 1}, run_at=soon(600))
    stack.sql("update jobs set lane = 'interactive', due_at = now() where id = $1", ids.read("job", job["id"]))
    says(stack, job, r"waiting: the service could not go on with it \(system\), looks again in \d+(\.\d)? s")
    worker.stop()


def test_ends(stack: Stack) -> None:
    done = stack.submit("noop", {"n": 1}, wait=20)
    says(stack, done, rf"succeeded: after {_SECONDS}, attempt 1")
    bad = stack.submit("wrong", {"kind": "input"}, wait=20)
    says(stack, bad, rf"failed: input_invalid \(input\) in step fail, after {_SECONDS}, attempt 1, quarantined")
    dead = stack.submit("wrong", {"kind": "bug"}, wait=20)
    says(
        stack, dead, rf"failed: workflow_error \(processing\) in step fail, after {_SECONDS}, attempt 1, a dead letter"
    )
    canceled = stack.submit("noop", {"n": 1}, run_at=soon(600))
    stack.client.post(f"/v1/jobs/{canceled['id']}/cancel")
    says(stack, canceled, rf"canceled: canceled_by_client \(input\), after {_SECONDS}, before it started")
    expired = stack.submit("noop", {"n": 1}, lane="bulk", start_within="100ms", off_peak=False, run_at=soon(2))
    stack.sql("update jobs set expire_by = now() where id = $1", ids.read("job", expired["id"]))
    says(stack, expired, rf"expired: start_timeout \(transient\), after {_SECONDS}, before it started")


def test_the_command_line_prints_the_sentence(stack: Stack) -> None:
    job = stack.submit("noop", {"n": 1}, run_at=soon(7200))
    done = explain(stack, job["id"])
    assert re.fullmatch(r"scheduled: starts at 20\S+ \S+ UTC, in \S+ h( \d+ min)?\n", done.stdout), done
    assert done.returncode == 0
    gone = explain(stack, "job_" + "0" * 26)
    assert gone.returncode == 1 and "not_found" in gone.stderr


def test_another_include_is_refused(stack: Stack) -> None:
    job = stack.submit("noop", {"n": 1})
    assert stack.client.get(f"/v1/jobs/{job['id']}?include=everything").status_code == 422


def explain(stack: Stack, job_id: str) -> subprocess.CompletedProcess[str]:
    """The command."""
    command = [sys.executable, "-m", "app", "jobs", "explain", job_id, "--url", stack.url, "--key", KEY]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def soon(seconds: float) -> str:
    """RFC 3339, whole seconds."""
    return f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
