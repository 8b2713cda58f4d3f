"""Cancel and retry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.routers.support import fresh, problem
from tests.stack import Stack, until

JSON = {"Content-Type": "application/json"}


def started(stack: Stack, seconds: float = 20) -> dict[str, Any]:
    job = stack.submit("marks", {"journal": stack.journal, "name": "c", "steps": 1, "step_s": seconds})
    until(lambda: stack.job(job["id"])["status"] == "running")
    return stack.job(job["id"])


def noted(stack: Stack) -> str:
    journal = Path(stack.journal)
    return journal.read_text() if journal.exists() else ""


def act(stack: Stack, verb: str, job: dict[str, Any], body: Any = None, **headers: str) -> Any:
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    return stack.client.post(f"/v1/jobs/{job['id']}/{verb}", json=body, headers=sent)


def test_an_unstarted_job_is_canceled_at_once_and_only_once(stack: Stack) -> None:
    job = stack.submit("noop-fast", {"n": 1})
    first, again = act(stack, "cancel", job), act(stack, "cancel", job)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    found = first.json()
    assert (found["status"], found["terminal"], found["error"]["code"]) == ("canceled", True, "canceled_by_client")
    assert found["ended_at"]


def test_the_audit_says_who_canceled_and_retried(stack: Stack) -> None:
    job = stack.submit("noop-fast", {"n": 1})
    for verb in ("cancel", "cancel", "retry", "cancel", "cancel"):
        act(stack, verb, job)
    running = started(stack)
    for _ in range(2):
        act(stack, "cancel", running)
    stack.ended(running["id"], 5)
    entries = stack.client.get("/v1/audit", params={"include": "jobs", "limit": 10}).json()["data"]
    found = {own["id"]: [one["action"] for one in entries if one["job_ids"] == [own["id"]]] for own in (job, running)}
    assert found == {job["id"]: ["job.canceled", "job.retried", "job.canceled"], running["id"]: ["job.canceled"]}
    assert all(one["key_id"] for one in entries if one["job_ids"])


def test_a_running_job_is_signaled(stack: Stack) -> None:
    job = started(stack)
    answer = act(stack, "cancel", job)
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    assert stack.ended(job["id"], 5)["status"] == "canceled"


def test_an_ended_job_stays_as_it_is(stack: Stack) -> None:
    job = stack.submit("noop", {"n": 1}, wait=20)
    answer = act(stack, "cancel", job)
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_both_take_if_match(stack: Stack, verb: str) -> None:
    job = stack.submit("noop-fast", {"n": 1})
    if verb == "retry":
        act(stack, "cancel", job)
    tag = stack.client.get(f"/v1/jobs/{job['id']}").headers["etag"]
    for wrong in ('"r99"', '"x"', "r1", f"W/{tag}", "", '"r99999999999"'):
        problem(act(stack, verb, job, If_Match=wrong), "revision_mismatch")
    assert act(stack, verb, job, If_Match=f'"r0", {tag}').status_code in (200, 202)
    if verb == "cancel":
        assert act(stack, verb, job, If_Match="*").status_code == 200


def test_a_failed_job_is_retried_under_its_id(stack: Stack) -> None:
    journal = str(Path(stack.folder) / fresh())
    job = stack.submit("wrong", {"kind": "transient", "journal": journal, "times": 3}, wait=20)
    assert (job["status"], job["disposition"], job["attempt"]) == ("failed", "dead_letter", 1)
    answer = act(stack, "retry", job)
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/jobs/{job['id']}")
    done = stack.ended(job["id"])
    assert (done["status"], done["output"], done["attempt"], done["error"]) == ("succeeded", {"n": 1}, 2, None)
    assert [(one["n"], one["status"]) for one in done["attempts"]] == [(1, "failed"), (2, "succeeded")]
    assert done["attempts"][0]["error"]["code"] == "dependency_failed"
    assert done["revision"] > job["revision"]


def test_only_what_went_wrong_is_retried(stack: Stack) -> None:
    for job in (stack.submit("noop", {"n": 1}, wait=20), stack.submit("noop-fast", {"n": 1}), started(stack)):
        problem(act(stack, "retry", job), "state_conflict")
    act(stack, "cancel", job)


@pytest.mark.parametrize(("body", "runs"), [(None, 1), ({}, 1), ({"from": "start"}, 2)])
def test_from_the_start_or_from_where_it_stood(stack: Stack, body: Any, runs: int) -> None:
    name = fresh()
    job = stack.submit("marks", {"journal": stack.journal, "name": name, "steps": 2, "step_s": 0.5})
    trace_id = job["trace"]["trace_id"]
    until(lambda: stack.sql("select 1 from steps where job_id = (select id from jobs where trace_id = $1)", trace_id))
    act(stack, "cancel", job)
    assert stack.ended(job["id"])["status"] == "canceled"
    assert act(stack, "retry", job, body).status_code == 202
    assert stack.ended(job["id"])["output"] == {"n": 2}
    lines = [line.split()[1] for line in noted(stack).splitlines() if line.startswith(name)]
    assert sorted(lines) == ["0"] * runs + ["1"]


def test_another_version_runs_the_retry(stack: Stack) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    job = stack.client.post("/v1/workflows/versioned/jobs?version=1", json={"input": {"n": 1}, "run_at": later}).json()
    act(stack, "cancel", job)
    problem(act(stack, "retry", job, {"version": "9"}), "input_invalid", "/version")
    problem(act(stack, "retry", job, {"version": "\x00"}), "input_invalid", "/version")
    answer = act(stack, "retry", job, {"version": "2"})
    assert answer.json()["version"] == "2"
    assert stack.ended(job["id"])["output"] == "two"


BAD = [
    (b"[]", "input_invalid", 422), (b'{"from":"middle"}', "input_invalid", 422), (b'{"from":1}', "input_invalid", 422),
    (b'{"version":2}', "input_invalid", 422), (b'{"to":"end"}', "unknown_field", 422), (b"{", "malformed_json", 400),
    (b'{"version":"\\ud800"}', "input_invalid", 422), (b'{"\\ud800":1}', "input_invalid", 422),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "status"), BAD)
def test_a_bad_retry(stack: Stack, body: bytes, code: str, status: int) -> None:
    job = stack.submit("noop-fast", {"n": 1})
    act(stack, "cancel", job)
    answer = stack.client.post(f"/v1/jobs/{job['id']}/retry", content=body, headers=JSON)
    problem(answer, code)
    assert stack.job(job["id"])["status"] == "canceled"


def test_a_cancel_takes_no_fields(stack: Stack) -> None:
    job = stack.submit("noop-fast", {"n": 1})
    problem(act(stack, "cancel", job, {"reason": "x"}), "unknown_field", "/reason")
    assert stack.job(job["id"])["status"] == "queued"
    assert act(stack, "cancel", job, {}).status_code == 200
