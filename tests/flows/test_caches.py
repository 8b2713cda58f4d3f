"""Caches from submit to end: two workers, a provider that counts, a receiver; each question is a test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.flows.catalogue import lines_of
from tests.routers.support import Keys, alone, problem
from tests.stack import KEY, Stack, bearer, running_stack, until
from tests.supervise.embedded import open_folder
from tests.telemetry.test_secrets import everything

WORKFLOWS = "tests.flows.catalogue,tests.flows.caching"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with open_folder() as folder, running_stack(folder, LANEWAY_WORKFLOWS=WORKFLOWS) as made:
        made.start_worker()
        made.start_worker()
        made.start_api()
        yield made


@pytest.fixture
def asked(stack: Stack) -> dict[str, Any]:
    """An input that nobody else has; its steps are noted in a journal."""
    text = f"canary{uuid4().hex}"
    return {"text": text, "journal": f"{stack.folder}/{text}", "step_s": 0.0}


@pytest.fixture(scope="module")
def keys(stack: Stack) -> Keys:
    return Keys(stack.servers.database_url)


def calls_about(stack: Stack, text: str) -> int:
    return sum(call["item"] == text for call in stack.provider.calls())


def post(stack: Stack, workflow: str, given: dict[str, Any], **headers: str) -> httpx.Response:
    sent = {"Prefer": "wait=20", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return stack.client.post(f"/v1/workflows/{workflow}/jobs", json={"input": given}, headers=sent)


def at_once(count: int, act: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(20) as pool:
        return list(pool.map(lambda _: act(), range(count)))


def submitted(stack: Stack, workflow: str, given: dict[str, Any]) -> dict[str, Any]:
    """From a thread, on a connection of its own."""
    answer = alone(stack, f"/v1/workflows/{workflow}/jobs", json={"input": given}, headers=bearer(KEY))
    assert answer.status_code in (201, 202), answer.text
    return dict(answer.json())


def saved(job: dict[str, Any]) -> float:
    return float(job["usage"]["saved_usd"])


@pytest.mark.parametrize("workflow", ["answers", "outputs"])
def test_a_hundred_equal_jobs_at_once_cost_one_call(stack: Stack, asked: dict[str, Any], workflow: str) -> None:
    stack.provider.set_faults(latency="fixed(500)")
    accepted = at_once(100, lambda: submitted(stack, workflow, asked))
    jobs = [stack.ended(job["id"], 60) for job in accepted]
    stack.provider.reset_faults()
    assert calls_about(stack, asked["text"]) == 1
    assert {job["status"] for job in jobs} == {"succeeded"}
    assert len({job["output"]["label"] for job in jobs}) == 1
    (paid,) = [job for job in jobs if job["usage"]["calls"]]
    cost = float(paid["usage"]["cost_usd"])
    assert cost > 0 and saved(paid) == 0
    assert {(float(job["usage"]["cost_usd"]), saved(job)) for job in jobs if job is not paid} == {(0.0, cost)}
    (row,) = stack.sql(
        "select count(*), sum(saved_nanos) as saved, sum(cost_nanos) as cost from ledger where job_id = any($1)",
        [
            row["id"]
            for row in stack.sql("select id from jobs where trace_id = any($1)", [j["trace"]["trace_id"] for j in jobs])
        ],
    )
    assert (row["count"], row["saved"]) == (100, 99 * row["cost"])


def test_a_known_output_is_a_new_job_that_has_ended(stack: Stack, asked: dict[str, Any]) -> None:
    first = post(stack, "outputs", asked)
    assert first.status_code == 201 and first.headers["cache-status"] == "laneway; fwd=miss"
    second = post(stack, "outputs", asked, Idempotency_Key=asked["text"])
    assert second.status_code == 201 and second.headers["cache-status"].startswith("laneway; hit; ttl=3")
    one, other = first.json(), second.json()
    assert other["id"] != one["id"] and other["output"] == one["output"] and other["input"] == one["input"]
    assert other["cache"]["hit"] and other["cache"]["source_job_id"] == one["id"] and other["cache"]["age_s"] >= 0
    assert other["cache"]["saved_usd"] == other["usage"]["saved_usd"] == one["usage"]["cost_usd"]
    assert (other["usage"]["cost_usd"], other["usage"]["calls"]) == ("0.000000000", 0)
    assert one["cache"] == {"hit": False, "source_job_id": None, "age_s": None, "saved_usd": None}
    assert lines_of(asked["journal"]) == 1
    read = stack.client.get(f"/v1/jobs/{other['id']}")
    assert read.json() == other and read.headers["etag"] == second.headers["etag"]
    events = stack.client.get(f"/v1/jobs/{other['id']}/events").json()["data"]
    assert [(event["type"], event["revision"]) for event in events] == [("job.submitted", 1), ("job.succeeded", 2)]
    assert stack.client.get(f"/v1/jobs/{other['id']}/trace").json()["spans"][0]["status"] == "succeeded"
    assert stack.client.get(f"/v1/jobs/{other['id']}/output").json() == one["output"]
    again = post(stack, "outputs", asked, Idempotency_Key=asked["text"])
    assert again.json() == other and again.headers["idempotent-replayed"] == "true"


def test_a_known_output_calls_back(stack: Stack, asked: dict[str, Any]) -> None:
    post(stack, "outputs", asked)
    hook = {"url": stack.hooks.answer(f"/{asked['text']}")}
    known = stack.submit("outputs", asked, wait=0, webhook=hook)
    assert known["cache"]["hit"] and known["webhook_delivery"] == "pending"
    until(lambda: stack.job(known["id"])["webhook_delivery"] == "succeeded")
    (sent,) = stack.hooks.received(f"/{asked['text']}")
    body = json.loads(sent["body"])
    assert body["type"] == "job.succeeded" and body["data"]["cache"]["hit"]


def test_a_stream_of_a_known_output_is_its_end(stack: Stack, asked: dict[str, Any]) -> None:
    post(stack, "outputs", asked)
    answer = post(stack, "outputs", asked, Accept="text/event-stream")
    assert answer.headers["cache-status"].startswith("laneway; hit")
    assert "event: end" in answer.text and '"hit":true' in answer.text


def test_what_the_client_says_of_the_cache(stack: Stack, asked: dict[str, Any]) -> None:
    miss = post(stack, "outputs", asked, Cache_Control="only-if-cached")
    problem(miss, "only_if_cached_miss")
    assert miss.headers["cache-status"] == "laneway; fwd=miss"
    assert post(stack, "outputs", asked, Cache_Control="no-store").headers["cache-status"] == "laneway; fwd=request"
    problem(post(stack, "outputs", asked, Cache_Control="only-if-cached"), "only_if_cached_miss")
    first = post(stack, "outputs", asked, Cache_Control="no-cache").json()
    known = post(stack, "outputs", asked, Cache_Control="only-if-cached, max-age=60").json()
    assert known["cache"]["source_job_id"] == first["id"]
    newer = post(stack, "outputs", asked, Cache_Control="no-cache")
    assert newer.headers["cache-status"] == "laneway; fwd=request" and not newer.json()["cache"]["hit"]
    assert post(stack, "outputs", asked).json()["cache"]["source_job_id"] == newer.json()["id"]
    assert lines_of(asked["journal"]) == 3
    aged = post(stack, "outputs", asked, Cache_Control="max-age=0")
    assert aged.headers["cache-status"] == "laneway; fwd=request" and not aged.json()["cache"]["hit"]
    assert lines_of(asked["journal"]) == 4


def test_a_workflow_without_a_cache_says_so(stack: Stack) -> None:
    assert post(stack, "noop", {"n": 1}).headers["cache-status"] == "laneway; fwd=bypass"
    miss = post(stack, "noop", {"n": 1}, Cache_Control="only-if-cached")
    problem(miss, "only_if_cached_miss")
    assert miss.headers["cache-status"] == "laneway; fwd=bypass"


def test_a_dry_run_tells_whether_it_is_known(stack: Stack, asked: dict[str, Any]) -> None:
    path = "/v1/workflows/outputs/jobs?validate_only=true"
    assert stack.client.post(path, json={"input": asked}).json()["cache_hit"] is False
    post(stack, "outputs", asked)
    assert stack.client.post(path, json={"input": asked}).json()["cache_hit"] is True
    assert lines_of(asked["journal"]) == 1


def test_past_its_time_it_is_made_again(stack: Stack, asked: dict[str, Any]) -> None:
    post(stack, "brief", asked)
    assert post(stack, "brief", asked).json()["cache"]["hit"]
    until(lambda: not post(stack, "brief", asked).json()["cache"]["hit"])
    assert lines_of(asked["journal"]) == 2


def test_another_version_input_project_or_mode_is_another_question(
    stack: Stack, keys: Keys, asked: dict[str, Any]
) -> None:
    post(stack, "outputs", asked)
    path = "/v1/workflows/outputs/jobs"
    for given in ({"project": "another"}, {"mode": "test"}):
        headers = {**bearer(keys.mint(**given).text), "Prefer": "wait=20"}
        for hit in (False, True):
            answer = stack.client.post(path, json={"input": asked}, headers=headers)
            assert answer.status_code == 201 and answer.json()["cache"]["hit"] is hit
    assert not post(stack, "outputs", {**asked, "step_s": 0.01}).json()["cache"]["hit"]
    old = stack.client.post(f"{path}?version=1", json={"input": asked}).json()
    new = stack.client.post(f"{path}?version=2", json={"input": asked}).json()
    assert old["version"] != new["version"] and {old["cache"]["hit"], new["cache"]["hit"]} == {True, False}


def test_what_must_keep_its_turn_is_known_only_when_it_runs(stack: Stack, asked: dict[str, Any]) -> None:
    first = post(stack, "outputs", asked).json()
    waits = stack.submit("outputs", asked, ordering_key=asked["text"])
    assert waits["status"] != "succeeded"
    ended = stack.ended(waits["id"])
    assert ended["cache"]["source_job_id"] == first["id"] and ended["attempts"][0]["status"] == "succeeded"
    assert lines_of(asked["journal"]) == 1


def test_a_tag_drops_answers_and_outputs(stack: Stack, keys: Keys, asked: dict[str, Any]) -> None:
    path = "/v1/cache/invalidate"
    for workflow in ("answers", "outputs"):
        post(stack, workflow, asked)
    stranger = bearer(keys.mint(project="another").text)
    assert stack.client.post(path, json={"tags": ["hour"]}, headers=stranger).status_code == 200
    assert post(stack, "outputs", asked).json()["cache"]["hit"]
    reader = bearer(keys.mint("jobs:write", "ops:read").text)
    problem(stack.client.post(path, json={"tags": ["hour"]}, headers=reader), "scope_missing")
    for wrong in ({}, {"tags": []}, {"tags": "hour"}):
        problem(stack.client.post(path, json=wrong), "input_invalid")
    before = calls_about(stack, asked["text"])
    dropped = stack.client.post(path, json={"tags": ["hour", "other"]})
    assert dropped.status_code == 200 and dropped.json()["tags"] == ["hour", "other"]
    for workflow in ("answers", "outputs"):
        again = post(stack, workflow, asked).json()
        assert not again["cache"]["hit"] and again["usage"]["calls"] == 1
    assert calls_about(stack, asked["text"]) == before + 2
    entry = stack.client.get("/v1/audit").json()["data"][0]
    assert (entry["action"], entry["tags"], entry["count"]) == ("cache.invalidate", ["hour", "other"], 0)


def test_what_fails_is_not_known_and_holds_nobody(stack: Stack, asked: dict[str, Any]) -> None:
    asked["step_s"] = 0.5
    jobs = [stack.ended(job["id"]) for job in at_once(20, lambda: submitted(stack, "fails", asked))]
    assert {(job["status"], job["cache"]["hit"]) for job in jobs} == {("failed", False)}
    assert lines_of(asked["journal"]) == 20


def test_a_known_answer_stands_in_the_timeline(stack: Stack, asked: dict[str, Any]) -> None:
    first, second = (post(stack, "answers", asked).json() for _ in range(2))
    spans = stack.client.get(f"/v1/jobs/{second['id']}/trace").json()["spans"]
    (call,) = [span for span in spans if span["kind"] == "call"]
    assert call["status"] == "cached" and call["attributes"]["saved_usd"] == first["usage"]["cost_usd"]


def test_redis_holds_no_question_and_no_answer(stack: Stack, asked: dict[str, Any]) -> None:
    answer = f"canary{uuid4().hex}"
    stack.provider.set_answers({asked["text"]: {"label": answer}})
    for workflow in ("answers", "outputs"):
        assert post(stack, workflow, asked).json()["output"]["label"] == answer
    stack.provider.clear_answers()
    seen = everything(stack.servers.redis_url)
    assert "{cache}:bodies" in seen
    assert asked["text"] not in seen and answer not in seen


def test_fifty_equal_steps_at_once_run_once(stack: Stack, asked: dict[str, Any]) -> None:
    asked["step_s"] = 0.5
    jobs = [stack.ended(job["id"]) for job in at_once(50, lambda: submitted(stack, "steps", asked))]
    assert {(job["status"], job["output"]) for job in jobs} == {("succeeded", asked["text"].upper())}
    assert lines_of(asked["journal"]) == 1
    known = [step_of(stack, job)["attributes"].get("cached", False) for job in jobs]
    assert sorted(known) == [False, *[True] * 49]
    post(stack, "steps", {**asked, "text": "other"})
    assert lines_of(asked["journal"]) == 2
    later = post(stack, "steps", asked).json()
    assert step_of(stack, later)["attributes"]["cached"] and lines_of(asked["journal"]) == 2


def step_of(stack: Stack, job: dict[str, Any]) -> dict[str, Any]:
    spans = stack.client.get(f"/v1/jobs/{job['id']}/trace").json()["spans"]
    return next(dict(span) for span in spans if span["kind"] == "step")


def test_each_text_is_embedded_once(stack: Stack) -> None:
    texts = [f"{uuid4().hex} {n}" for n in range(4)]
    first = post(stack, "embeds", {"texts": texts[:3]}).json()
    second = post(stack, "embeds", {"texts": [texts[3], *texts[:3]]}).json()
    assert first["output"] == [64] * 3 and second["output"] == [64] * 4
    assert 0 < float(second["usage"]["cost_usd"]) < float(first["usage"]["cost_usd"])
    assert float(second["usage"]["saved_usd"]) == pytest.approx(float(first["usage"]["cost_usd"]), rel=0.01)
    asked = [
        call["item"] for call in stack.provider.calls() if texts[0] in (call["item"] or "") or call["item"] == texts[3]
    ]
    assert asked == ["\n".join(texts[:3]), texts[3]]
    spans = stack.client.get(f"/v1/jobs/{second['id']}/trace").json()["spans"]
    calls = [span for span in spans if span["kind"] == "call"]
    assert {(span["name"], span["status"]) for span in calls} == {
        ("embeddings small-sim", "succeeded"),
        ("embeddings small-sim", "cached"),
    }
    assert post(stack, "embeds", {"texts": []}).json()["output"] == []
    wrong = post(stack, "embeds", {"texts": [""]}).json()
    assert (wrong["status"], wrong["disposition"], wrong["error"]["code"]) == ("failed", "quarantine", "input_invalid")
    assert "text 1 of 1 is empty" in wrong["error"]["detail"]
