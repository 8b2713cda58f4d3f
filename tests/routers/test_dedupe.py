"""Dedupe: equal work that is live or succeeded is found instead of done again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.routers.support import Keys, alone, fresh, nobody, problem, untouched
from tests.stack import Stack, bearer


def duplicate(response: httpx.Response) -> bool:
    return response.headers.get("laneway-deduplicated") == "true"


def test_equal_content_is_the_same_job(stack: Stack) -> None:
    value = fresh()
    first = stack.post("echo", {"value": {"a": value, "b": 1}}, dedupe={})
    again = stack.post("echo", {"value": {"b": 1, "a": value}}, dedupe={}, wait=20)
    other = stack.post("echo", {"value": {"a": value, "b": 2}}, dedupe={})
    assert (first.status_code, duplicate(first)) == (202, False)
    assert (again.status_code, duplicate(again)) == (201, True)
    assert again.json()["id"] == first.json()["id"]
    assert not duplicate(other)


def test_a_key_makes_other_content_equal(stack: Stack) -> None:
    key = fresh()
    first = stack.post("echo", {"value": 1}, dedupe={"key": key})
    again = stack.post("echo", {"value": 2}, dedupe={"key": key, "within": "5m"})
    assert duplicate(again)
    assert again.json()["id"] == first.json()["id"]
    assert not duplicate(stack.post("noop", {"n": 1}, dedupe={"key": key}))


def test_what_a_test_key_submitted_is_no_duplicate_of_a_live_one(stack: Stack, keys: Keys) -> None:
    key, project = fresh(), fresh()
    found = []
    for mode in ("test", "live", "test"):
        mine = bearer(keys.mint(project=project, mode=mode).text)
        body = {"input": {"value": 1}, "dedupe": {"key": key}}
        found.append(nobody(stack).post("/v1/workflows/echo/jobs", json=body, headers=mine))
    assert [duplicate(one) for one in found] == [False, False, True]
    assert found[2].json()["id"] == found[0].json()["id"] != found[1].json()["id"]


def test_a_duplicate_may_be_refused(stack: Stack) -> None:
    key = fresh()
    first = stack.post("echo", {"value": 1}, dedupe={"key": key, "on_duplicate": "reject"})
    with untouched(stack):
        found = problem(
            stack.post("echo", {"value": 1}, dedupe={"key": key, "on_duplicate": "reject"}), "duplicate_job"
        )
    assert found["job_id"] == first.json()["id"]


def test_what_is_too_old_or_went_wrong_is_no_duplicate(stack: Stack) -> None:
    key = fresh()
    stack.submit("echo", {"value": 1}, dedupe={"key": key})
    time.sleep(0.3)
    assert not duplicate(stack.post("echo", {"value": 1}, dedupe={"key": key, "within": "200ms"}))
    wrong = {"kind": "input", "journal": ""}
    failed = stack.submit("wrong", wrong, dedupe={}, wait=20)
    assert failed["status"] == "failed"
    assert not duplicate(stack.post("wrong", wrong, dedupe={}))


def test_a_result_that_is_no_longer_kept_is_no_duplicate(stack: Stack) -> None:
    key = fresh()
    stack.submit("echo", {"value": 1}, dedupe={"key": key}, retain_for="100ms", wait=20)
    time.sleep(0.2)
    assert not duplicate(stack.post("echo", {"value": 1}, dedupe={"key": key}))


def test_fifty_at_once_are_one_job(stack: Stack) -> None:
    value, headers = fresh(), dict(stack.client.headers)

    def send(_: int) -> httpx.Response:
        body = {"input": {"value": value}, "dedupe": {"within": "1h"}}
        return alone(stack, "/v1/workflows/echo/jobs", json=body, headers=headers)

    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(send, range(50)))
    assert {answer.status_code for answer in answers} <= {201, 202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum(not duplicate(answer) for answer in answers) == 1


def test_other_projects_and_versions_are_others(stack: Stack, keys: Keys) -> None:
    body = {"input": {"n": 1}, "dedupe": {"key": fresh()}}
    assert stack.client.post("/v1/workflows/versioned/jobs?version=1", json=body).status_code == 202
    assert not duplicate(stack.client.post("/v1/workflows/versioned/jobs?version=2", json=body))
    foreign = bearer(keys.mint(project="elsewhere").text)
    other = nobody(stack).post("/v1/workflows/versioned/jobs?version=1", json=body, headers=foreign)
    assert not duplicate(other)


def test_a_key_of_both_kinds(stack: Stack) -> None:
    """The idempotency key of a duplicate stays bound to the job that answered it."""
    value, key = fresh(), fresh()
    first = stack.post("echo", {"value": value}, dedupe={})
    twin = stack.post("echo", {"value": value}, dedupe={}, key=key)
    again = stack.post("echo", {"value": value}, dedupe={}, key=key)
    assert duplicate(twin)
    assert again.headers["idempotent-replayed"] == "true"
    assert len({answer.json()["id"] for answer in (first, twin, again)}) == 1
