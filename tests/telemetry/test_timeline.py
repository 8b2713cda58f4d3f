"""The stored timeline: drawn without a collector, and the same spans that were exported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.stack import ENDED, Stack, until
from tests.telemetry.collector import Collector
from tests.telemetry.spans import CLIENT, agree, exported_trace, moment, named, nested, seconds, timeline, told

KEYS = {"id", "parent_id", "kind", "name", "started_at", "ended_at", "status", "attributes"}


def fresh() -> str:
    return f"good {uuid4().hex}"


def test_shape_and_agreement_of_a_job_with_tries_a_call_and_two_attempts_to_deliver(
    stack: Stack, exported: Collector
) -> None:
    text = fresh()
    job = told(stack, "busy", text, {"status": 500, "times": 1}, {"status": 200})
    stored = timeline(stack, job)
    agree(exported, job, stored)
    nested(stored)
    assert all(set(span) in (KEYS, KEYS | {"try"}) for span in stored)
    assert {span["kind"] for span in stored} == {"job", "attempt", "step", "call", "wait", "webhook"}
    (whole,) = named(stored, "job").values()
    assert (whole["name"], whole["status"]) == ("busy", "succeeded")
    assert whole["attributes"]["input"] == {"text": text} and whole["attributes"]["output"] == job["output"]
    steps = named(stored, "step")
    assert (steps["look"]["attributes"]["key"], steps["look"]["attributes"]["output"]) == (text[:20], text.upper())
    assert [steps[name]["try"] for name in ("look", "classify", "store")] == [1, 1, 3]
    (call,) = named(stored, "call").values()
    assert (call["name"], call["parent_id"], call["status"]) == ("chat small-sim", steps["classify"]["id"], "succeeded")
    assert text in call["attributes"]["request"]["messages"][0]["content"]
    assert call["attributes"]["input_tokens"] == job["usage"]["input_tokens"]
    hooks = [span for span in stored if span["kind"] == "webhook"]
    assert [(span["try"], span["status"], span["attributes"]["status_code"]) for span in hooks] == [
        (1, "failed", 500),
        (2, "succeeded", 200),
    ]
    assert [header["traceparent"].split("-")[2] for header in job["hooks"]] == [span["id"] for span in hooks]


@pytest.fixture(scope="module")
def patient(stack: Stack) -> dict[str, Any]:
    """A job that backs off between two attempts, and then sleeps; `between` and `asleep` are what it showed then."""
    job = stack.submit("patient", {"text": fresh()})
    until(lambda: stack.job(job["id"])["status"] == "scheduled")
    between = (stack.job(job["id"])["attempts"], timeline(stack, job))
    until(lambda: stack.job(job["id"])["reason"] == "sleep")
    asleep = (stack.job(job["id"])["attempts"], timeline(stack, job))
    return {**stack.ended(job["id"]), "between": between, "asleep": asleep}


def test_a_parked_job_shows_what_it_waits_for(patient: dict[str, Any]) -> None:
    attempts, stored = patient["between"]
    assert [(one["n"], one["status"]) for one in attempts] == [(1, "failed")]
    assert [(span["kind"], span["name"], span["status"]) for span in stored if span["ended_at"] is None] == [
        ("job", "patient", "scheduled"),
        ("wait", "retry", "scheduled"),
    ]
    attempts, stored = patient["asleep"]
    assert [(one["n"], one["status"], one["ended_at"]) for one in attempts][1:] == [(2, "scheduled", None)]
    assert [span["kind"] for span in stored if span["ended_at"] is None] == ["job", "wait", "attempt"]


def test_attempts_back_off_sleep_and_queue_each_have_their_place(
    stack: Stack, exported: Collector, patient: dict[str, Any]
) -> None:
    job, stored = patient, timeline(stack, patient)
    agree(exported, job, stored)
    nested(stored)
    (whole,) = named(stored, "job").values()
    attempts, steps = named(stored, "attempt"), named(stored, "step")
    assert [(name, span["status"], span["attributes"].get("error")) for name, span in attempts.items()] == [
        ("attempt 1", "failed", "dependency_failed"),
        ("attempt 2", "succeeded", None),
    ]
    first, second = attempts["attempt 1"], attempts["attempt 2"]
    places = {name: span["parent_id"] for name, span in steps.items()}
    assert places == {"before": first["id"], "late": whole["id"], "nap": second["id"], "after": second["id"]}
    assert steps["late"]["try"] == 2 and seconds(steps["late"]) > 2
    waits = {span["name"]: span for span in stored if span["kind"] == "wait" and span["name"] != "queued"}
    assert (waits["retry"]["parent_id"], waits["sleep"]["parent_id"]) == (whole["id"], second["id"])
    assert 1.9 < seconds(waits["retry"]) < 4 and 1.9 < seconds(waits["sleep"]) < 4
    queued = [span for span in stored if span["name"] == "queued"]
    assert len(queued) == 3 and all(seconds(span) < 10 for span in queued)
    shown = stack.job(job["id"])["attempts"]
    assert [(one["n"], one["status"]) for one in shown] == [(1, "failed"), (2, "succeeded")]
    assert [one["started_at"] for one in shown] == [first["started_at"], second["started_at"]]


def test_a_wait_for_the_limiter_is_a_span_before_its_call(stack: Stack, exported: Collector) -> None:
    text = fresh()
    stack.provider.set_answers({text: [{"$fault": "rate_limited"}, {"label": "x"}]})
    job = told(stack, "asks", text)
    stored = timeline(stack, job)
    agree(exported, job, stored)
    nested(stored)
    refused, answered = (span for span in stored if span["kind"] == "call")
    assert (refused["status"], answered["status"]) == ("rate_limited", "succeeded")
    wait = named(stored, "wait")["limiter"]
    assert wait["parent_id"] == answered["parent_id"] and seconds(wait) > 0.3
    assert moment(refused["ended_at"]) - 0.05 <= moment(wait["started_at"])
    assert wait["ended_at"] == answered["started_at"]


def test_a_scheduled_job_that_is_canceled_was_never_attempted(stack: Stack, exported: Collector) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    job = stack.submit("noop", {"n": 1}, run_at=later)
    stack.client.post(f"/v1/jobs/{job['id']}/cancel").raise_for_status()
    stored = timeline(stack, job)
    agree(exported, job, stored)
    nested(stored)
    assert [(span["kind"], span["name"], span["status"]) for span in stored] == [
        ("job", "noop", "canceled"),
        ("wait", "run_at", "ended"),
    ]


def test_a_job_that_the_client_s_clock_ends_is_exported_by_whoever_ends_it(stack: Stack, exported: Collector) -> None:
    job = stack.submit("noop-fast", {"n": 1}, start_within="0.2s")
    assert stack.ended(job["id"])["status"] == "expired"
    stored = timeline(stack, job)
    agree(exported, job, stored)
    assert [(span["kind"], span["name"], span["status"]) for span in stored] == [
        ("job", "noop-fast", "expired"),
        ("wait", "queued", "ended"),
    ]
    assert stored[0]["attributes"]["error"] == "start_timeout"


def test_a_running_job_that_is_canceled_is_exported_too(stack: Stack, exported: Collector) -> None:
    job = stack.submit("marks", {"journal": stack.journal, "name": "x", "steps": 2, "step_s": 1.0})
    until(lambda: "step" in {span["kind"] for span in timeline(stack, job)})
    assert stack.client.post(f"/v1/jobs/{job['id']}/cancel").status_code == 202
    until(lambda: stack.job(job["id"])["status"] == "canceled")
    stored = timeline(stack, job)
    agree(exported, job, stored)
    nested(stored)
    assert [span["status"] for span in stored if span["kind"] in ("job", "attempt")] == ["canceled", "canceled"]


def test_a_retry_by_the_client_is_another_attempt_and_sends_nothing_twice_but_the_job(
    stack: Stack, exported: Collector
) -> None:
    text = fresh()
    stack.provider.set_answers({text: [{"$fault": "invalid_request"}, {"label": "x"}]})
    job = told(stack, "asks", text)
    assert job["status"] == "failed"
    stack.client.post(f"/v1/jobs/{job['id']}/retry", json={}).raise_for_status()
    until(lambda: stack.job(job["id"])["status"] == "succeeded")
    stored = timeline(stack, job)
    nested(stored)
    until(lambda: "attempt 2" in {span.name for span in exported.of(job["trace"]["trace_id"])})
    spans = exported.of(job["trace"]["trace_id"])
    ids = sorted(span.id for span in spans if span.word not in ("server", "job"))
    assert len(set(ids)) == len(ids)
    assert {span["id"] for span in stored if span["kind"] != "webhook"} <= {span.id for span in spans}
    steps = [span for span in stored if span["kind"] == "step"]
    assert sorted((span["status"], span["attributes"]["attempt"]) for span in steps) == [
        ("succeeded", 2),
        ("unrecorded", 1),
    ]
    assert list(named(stored, "attempt")) == ["attempt 1", "attempt 2"]


def test_a_lost_worker_does_not_end_an_attempt(stack: Stack, exported: Collector) -> None:
    lost = stack.start_worker("bulk")
    job = stack.submit("marks", {"journal": stack.journal, "name": "x", "steps": 2, "step_s": 0.4}, lane="bulk")
    until(lambda: "step" in {span["kind"] for span in timeline(stack, job)})
    lost.kill()
    stack.start_worker("bulk")
    assert stack.ended(job["id"])["status"] == "succeeded"
    stored = timeline(stack, job)
    nested(stored)
    (attempt,) = named(stored, "attempt").values()
    waits = [span for span in stored if span["kind"] == "wait"]
    assert [(span["name"], span["parent_id"] == attempt["id"]) for span in waits] == [
        ("queued", False),
        ("queued", True),
    ]
    kept = [span for span in stored if span["kind"] != "step"]
    exported_trace(exported, job, kept)


@pytest.fixture(scope="module")
def quiet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A second API on the same database, without any collector."""
    folder: Path = tmp_path_factory.mktemp("quiet")
    made = Stack(
        stack.servers,
        stack.provider,
        stack.hooks,
        folder,
        {"LANEWAY_WORKFLOWS": stack.environment["LANEWAY_WORKFLOWS"]},
    )
    made.start_api()
    yield made
    made.close()


def test_without_a_collector_the_timeline_is_the_same_and_the_job_hangs_below_the_client(
    stack: Stack, quiet: Stack
) -> None:
    trace_id = uuid4().hex
    job = told(quiet, "busy", fresh(), traceparent=f"00-{trace_id}-{CLIENT}-01")
    assert job["status"] in ENDED and job["trace"]["trace_id"] == trace_id
    stored = timeline(quiet, job)
    assert stored == timeline(stack, job)
    nested(stored)
    (whole,) = named(stored, "job").values()
    assert whole["parent_id"] == CLIENT
