"""Idempotency-Key on every POST of the document: the same request again does nothing, another one is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.routers.support import Keys, fresh, problem
from tests.stack import Stack, bearer, until

_POOL = "simulated/small-sim"


@dataclass(frozen=True, slots=True)
class Case:
    """One operation: its path, made for each test, a body, and another one."""

    path: Callable[[Stack], str]
    body: dict[str, Any]
    other: dict[str, Any]


def _ended(stack: Stack) -> str:
    return str(stack.submit("echo", {"value": fresh()}, wait=20)["id"])


def _live(stack: Stack) -> str:
    return str(stack.submit("noop-fast", {"n": 1})["id"])


def _pool(act: str) -> Callable[[Stack], str]:
    def path(stack: Stack) -> str:
        if not any(one["id"] == _POOL for one in stack.client.get("/v1/pools").json()["data"]):
            assert stack.submit("asks", {"text": fresh()}, wait=20)["status"] == "succeeded"
        return f"/v1/pools/{_POOL}/{act}"

    return path


def _breaker(stack: Stack) -> str:
    name = f"crm/{fresh()}"
    assert stack.submit("behind", {"breaker": name}, wait=20)["status"] == "succeeded"
    return f"/v1/breakers/{name}"


def _key(stack: Stack) -> str:
    return str(stack.client.post("/v1/api-keys", json={"name": fresh()}).raise_for_status().json()["id"])


CASES: dict[str, Case] = {
    "jobs.submit": Case(lambda _: "/v1/workflows/echo/jobs", {"input": {"value": 1}}, {"input": {"value": 2}}),
    "jobs.cancel": Case(lambda stack: f"/v1/jobs/{_live(stack)}/cancel", {}, {"why": "not needed"}),
    "jobs.retry": Case(lambda stack: f"/v1/jobs/{_canceled(stack)}/retry", {}, {"from": "start"}),
    "dead_letters.replay": Case(
        lambda _: "/v1/dead-letters/replay", {"filter": {"workflow": "echo"}}, {"filter": {"workflow": "noop"}}
    ),
    "cache.invalidate": Case(lambda _: "/v1/cache/invalidate", {"tags": ["a"]}, {"tags": ["b"]}),
    "pools.pause": Case(_pool("pause"), {"for": "1ms"}, {"for": "2ms"}),
    "pools.resume": Case(_pool("resume"), {}, {"now": True}),
    "pools.drain": Case(_pool("drain"), {}, {"now": True}),
    "pools.announce": Case(_pool("announce"), {}, {"max_in_flight": 500}),
    "pools.breaker": Case(_pool("breaker"), {"state": "auto"}, {"state": "open"}),
    "pools.forget": Case(_pool("forget"), {}, {"now": True}),
    "breakers.force": Case(_breaker, {"state": "auto"}, {"state": "open"}),
    "keys.create": Case(lambda _: "/v1/api-keys", {"name": "a"}, {"name": "b"}),
    "keys.rotate": Case(lambda stack: f"/v1/api-keys/{_key(stack)}/rotate", {"grace": "1h"}, {"grace": "2h"}),
    "projects.create": Case(lambda _: "/v1/projects", {"name": fresh()}, {"name": fresh()}),
}


def _canceled(stack: Stack) -> str:
    job = _live(stack)
    stack.client.post(f"/v1/jobs/{job}/cancel").raise_for_status()
    return job


def _posts(stack: Stack) -> dict[str, dict[str, Any]]:
    """The document's, without the copies of `jobs.submit` for each workflow."""
    paths = stack.client.get("/openapi.json").json()["paths"].values()
    found = {item["post"]["operationId"]: item["post"] for item in paths if "post" in item}
    return {name: post for name, post in found.items() if not name.startswith("jobs.submit.")}


def test_every_post_stands_in_the_table_and_tells_of_the_header(stack: Stack) -> None:
    posts = _posts(stack)
    assert posts.keys() == CASES.keys()
    for name, post in posts.items():
        headers = {one["name"] for one in post["parameters"] if one["in"] == "header"}
        assert "Idempotency-Key" in headers, name
        assert {"400", "422"} <= post["responses"].keys(), name


@pytest.mark.parametrize("name", CASES)
def test_the_same_again_does_nothing_and_another_body_is_refused(stack: Stack, name: str) -> None:
    case = CASES[name]
    path, header = case.path(stack), {"Idempotency-Key": fresh()}
    before = len(_audit(stack))

    def post(body: dict[str, Any]) -> httpx.Response:
        return stack.client.post(path, json=body, headers=header)

    try:
        first = post(case.body)
        assert first.status_code in (200, 201, 202), first.text
        assert "idempotent-replayed" not in first.headers
        acts = len(_audit(stack)) - before
        again = post(case.body)
        assert (again.status_code, again.headers.get("idempotent-replayed")) == (first.status_code, "true")
        assert _what(again) == _what(first)
        problem(post(case.other), "idempotency_key_reused")
        assert len(_audit(stack)) - before == acts
    finally:
        if name == "pools.drain":
            stack.client.post(f"/v1/pools/{_POOL}/resume").raise_for_status()


@pytest.mark.parametrize("name", CASES)
def test_what_is_no_key_is_refused(stack: Stack, name: str) -> None:
    case = CASES[name]
    problem(stack.client.post(case.path(stack), json=case.body, headers={"Idempotency-Key": ""}), "invalid_header")


def test_a_refused_lever_frees_its_key(stack: Stack) -> None:
    path, header = _pool("breaker")(stack), {"Idempotency-Key": fresh()}
    problem(stack.client.post(path, json={"state": "ajar"}, headers=header), "input_invalid")
    moved = stack.client.post(path, json={"state": "auto"}, headers=header)
    assert (moved.status_code, "idempotent-replayed" in moved.headers) == (200, False)


def test_a_pause_is_not_made_longer_by_its_repetition(stack: Stack) -> None:
    path, header = _pool("pause")(stack), {"Idempotency-Key": fresh()}
    assert stack.client.post(path, json={"for": "300ms"}, headers=header).json()["state"] == "paused"
    until(lambda: stack.submit("asks", {"text": fresh()}, wait=20)["status"] == "succeeded")
    assert stack.client.post(path, json={"for": "300ms"}, headers=header).json()["state"] == "paused", "as it was then"
    (found,) = (one for one in stack.client.get("/v1/pools").json()["data"] if one["id"] == _POOL)
    assert found["state"] != "paused"


def test_a_repeated_cancel_leaves_a_retried_job_alone(stack: Stack) -> None:
    job, header = _live(stack), {"Idempotency-Key": fresh()}
    assert stack.client.post(f"/v1/jobs/{job}/cancel", headers=header).json()["status"] == "canceled"
    assert stack.client.post(f"/v1/jobs/{job}/retry").status_code == 202
    again = stack.client.post(f"/v1/jobs/{job}/cancel", headers=header)
    assert (again.status_code, again.json()["status"]) == (202, "queued")
    assert again.headers["idempotent-replayed"] == "true"
    stack.client.post(f"/v1/jobs/{job}/cancel").raise_for_status()


def test_keys_of_two_projects_do_not_meet(stack: Stack, keys: Keys) -> None:
    path, header = _pool("breaker")(stack), {"Idempotency-Key": fresh()}
    stack.client.post(path, json={"state": "auto"}, headers=header).raise_for_status()
    other = bearer(keys.mint("ops:write", project=fresh()).text)
    theirs = stack.client.post(path, json={"state": "auto"}, headers={**header, **other})
    assert (theirs.status_code, "idempotent-replayed" in theirs.headers) == (200, False)


def _audit(stack: Stack) -> list[dict[str, Any]]:
    return list(stack.client.get("/v1/audit", params={"limit": 200}).json()["data"])


def _what(answer: httpx.Response) -> Any:
    """What was answered: by its id where it has one, for it may have gone on since."""
    body = answer.json()
    return body["id"] if str(body.get("object")) in ("job", "api_key", "operation", "project") else body
