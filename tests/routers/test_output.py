"""Output and timeline of a job."""

from __future__ import annotations

import json

from tests.routers.support import fresh, problem
from tests.stack import Stack, until


def test_a_live_job_has_no_output_yet(stack: Stack) -> None:
    job = stack.submit("noop-fast", {"n": 1})
    answer = stack.client.get(f"/v1/jobs/{job['id']}/output")
    assert int(answer.headers["retry-after"]) >= 1
    problem(answer, "job_not_finished")


def test_a_failed_job_has_no_output(stack: Stack) -> None:
    job = stack.submit("wrong", {"kind": "processing"}, wait=20)
    problem(stack.client.get(f"/v1/jobs/{job['id']}/output"), "state_conflict")


def test_the_timeline_holds_the_whole_walk(stack: Stack) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    text = fresh()
    stack.provider.set_answers({text: {"label": "fine"}})
    url = stack.hooks.answer(f"/{fresh()}")
    headers = {"traceparent": parent, "Prefer": "wait=20"}
    body = {"input": {"text": text}, "webhook": {"url": url}}
    job = stack.client.post("/v1/workflows/asks/jobs", json=body, headers=headers).json()
    assert job["output"] == {"label": "fine"}
    assert job["trace"]["trace_id"] == parent.split("-")[1]
    until(lambda: stack.job(job["id"])["webhook_delivery"] == "succeeded")
    found = stack.client.get(job["trace"]["url"]).json()
    assert found["trace_id"] == job["trace"]["trace_id"]
    spans = {span["id"]: span for span in found["spans"]}
    assert len(spans) == len(found["spans"])
    kinds = {span["kind"]: span for span in spans.values()}
    assert set(kinds) == {"job", "wait", "attempt", "step", "call", "webhook"}
    assert kinds["job"]["parent_id"] == parent.split("-")[2]
    assert all(span["parent_id"] in spans for span in spans.values() if span["kind"] != "job")
    assert all(span["started_at"] <= span["ended_at"] for span in spans.values())
    call = kinds["call"]["attributes"]
    assert text in json.dumps(call["request"])
    assert "fine" in json.dumps(call["answer"])
    assert call["cost_usd"] == job["usage"]["cost_usd"] != "0.000000000"
    assert call["input_tokens"] == job["usage"]["input_tokens"] > 0
    assert (kinds["step"]["try"], kinds["step"]["attributes"]["output"]) == (1, {"label": "fine"})
    assert (kinds["job"]["attributes"]["input"], kinds["job"]["attributes"]["output"]) == (job["input"], job["output"])


def test_a_bad_traceparent_starts_a_trace_of_its_own(stack: Stack) -> None:
    for bad in (
        "x",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ):
        job = stack.client.post(
            "/v1/workflows/noop/jobs", json={"input": {"n": 1}}, headers={"traceparent": bad}
        ).json()
        assert len(job["trace"]["trace_id"]) == 32
        assert job["trace"]["trace_id"] not in bad


def test_the_timeline_of_a_job_that_waits_and_of_one_that_failed(stack: Stack) -> None:
    waiting = stack.submit("noop-fast", {"n": 1})
    spans = stack.client.get(f"/v1/jobs/{waiting['id']}/trace").json()["spans"]
    assert [(span["kind"], span["status"], span["ended_at"]) for span in spans] == [
        ("job", "queued", None), ("wait", "queued", None),
    ]  # fmt: skip
    failed = stack.submit("wrong", {"kind": "transient"}, wait=20)
    spans = stack.client.get(f"/v1/jobs/{failed['id']}/trace").json()["spans"]
    (step,) = [span for span in spans if span["kind"] == "step"]
    assert (step["try"], step["status"], step["attributes"]["error"]) == (3, "failed", "dependency_failed")
