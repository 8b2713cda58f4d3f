"""Pools over HTTP: what is known of them, and the levers; who moved one stands in the audit."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.routers.support import Keys, fresh, nobody, problem
from tests.stack import Stack, bearer, until

_POOL = "simulated/small-sim"


def pool(stack: Stack) -> dict[str, Any]:
    """The pool of the simulated provider's small model; a job has used it."""
    found = {one["id"]: one for one in stack.client.get("/v1/pools").raise_for_status().json()["data"]}
    if _POOL not in found:
        assert stack.submit("asks", {"text": fresh()}, wait=20)["status"] == "succeeded"
        return pool(stack)
    return dict(found[_POOL])


def steer(stack: Stack, act: str, body: dict[str, Any] | None = None, name: str = _POOL) -> dict[str, Any]:
    """Move a lever; the pool as it is then."""
    answer = stack.client.post(f"/v1/pools/{name}/{act}", json=body or {})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _told(stack: Stack, job: str) -> str:
    """Where the job stands, in words."""
    return str(stack.client.get(f"/v1/jobs/{job}", params={"include": "queue"}).json()["queue"]["explanation"])


def test_a_pool_is_shown(stack: Stack) -> None:
    # The end of the last call is told a moment after its job's.
    until(lambda: pool(stack)["in_flight"] == 0)
    found = pool(stack)
    assert (found["provider"], found["models"], found["state"]) == ("simulated", ["small-sim"], "closed")
    assert found["waiting"] == {"interactive": 0, "standard": 0, "bulk": 0}
    assert found["most_in_flight"] >= 1
    (limit,) = found["limits"]
    assert (limit["dimension"], limit["source"], limit["binding"]) == ("requests", "announced", True)
    brief = {one["id"]: one for one in stack.client.get("/v1/status").json()["pools"]}
    assert brief[_POOL] == {"id": _POOL, "state": "closed", "in_flight": 0}
    metrics = stack.client.get("/metrics").text
    assert f'laneway_pool_open{{pool="{_POOL}"}} 1' in metrics
    assert f'laneway_pool_limit_per_minute{{pool="{_POOL}",dimension="requests",source="announced"}}' in metrics


def test_a_paused_pool_holds_its_jobs_and_a_resumed_one_lets_them_go(stack: Stack) -> None:
    pool(stack)
    try:
        assert steer(stack, "pause", {"for": "10m"})["state"] == "paused"
        job = stack.submit("asks", {"text": fresh()})["id"]
        until(lambda: stack.job(job)["status"] == "waiting")
        assert stack.job(job)["reason"] == "rate_limit"
        assert f"waiting: an operator has paused the pool {_POOL} (rate_limit), looks again in" in _told(stack, job)
        assert steer(stack, "drain")["state"] == "draining"
        assert "an operator has drained the pool" in _told(stack, job)
    finally:
        assert steer(stack, "resume")["state"] == "closed"
    assert stack.submit("asks", {"text": fresh()}, wait=20)["status"] == "succeeded"
    # By itself it would look again after three minutes.
    assert stack.ended(job)["status"] == "succeeded"


def test_a_pause_ends_by_itself(stack: Stack) -> None:
    pool(stack)
    assert steer(stack, "pause", {"for": "300ms"})["state"] == "paused"
    until(lambda: stack.submit("asks", {"text": fresh()}, wait=20)["status"] == "succeeded")
    assert pool(stack)["state"] == "closed"


def test_limits_are_announced_and_taken_back(stack: Stack) -> None:
    before = pool(stack)["limits"]
    told = steer(stack, "announce", {"requests_per_minute": 1200, "tokens_per_minute": 90_000})
    limits = {one["dimension"]: (one["per_minute"], one["source"]) for one in told["limits"]}
    assert limits["requests"] == (pytest.approx(1200), "announced")
    assert limits["tokens"] == (pytest.approx(90_000), "announced")
    assert steer(stack, "announce", {"tokens_per_minute": 1000, "max_in_flight": 3})["most_in_flight"] == 3
    after = steer(stack, "announce")
    assert after["limits"] == before, "nobody has learned what was only said"
    assert after["most_in_flight"] > 3


def test_what_was_learned_is_forgotten(stack: Stack) -> None:
    before = pool(stack)
    assert steer(stack, "forget")["limits"] == before["limits"], "its configuration still says so"
    assert stack.submit("asks", {"text": fresh()}, wait=20)["status"] == "succeeded"


def test_a_breaker_is_forced(stack: Stack) -> None:
    pool(stack)
    try:
        assert steer(stack, "breaker", {"state": "open"})["state"] == "open"
        job = stack.submit("asks", {"text": fresh()})["id"]
        until(lambda: pool(stack)["waiting"]["standard"] == 1 or stack.job(job)["reason"] == "provider_down")
    finally:
        steer(stack, "breaker", {"state": "closed"})
    assert stack.ended(job)["status"] == "succeeded"
    assert steer(stack, "breaker", {"state": "auto"})["state"] in ("closed", "half_open")


def test_who_moved_a_lever_stands_in_the_audit(stack: Stack) -> None:
    pool(stack)
    steer(stack, "announce", {"max_in_flight": 50})
    steer(stack, "announce")
    entries = stack.client.get("/v1/audit").json()["data"]
    acts = [(entry["action"], entry["tags"]) for entry in entries]
    assert ("pools.announce", [_POOL, "max_in_flight=50"]) in acts


def test_an_encoded_slash_is_the_same_pool(stack: Stack) -> None:
    pool(stack)
    assert steer(stack, "resume", name=quote(_POOL, safe=""))["id"] == _POOL


@pytest.mark.parametrize("act", ["pause", "resume", "drain", "announce", "breaker"])
def test_levers_need_their_scope_and_a_pool(stack: Stack, keys: Keys, act: str) -> None:
    body = {"state": "auto"} if act == "breaker" else {}
    path = f"/v1/pools/{_POOL}/{act}"
    problem(nobody(stack).post(path, json=body), "missing_key")
    reader = bearer(keys.mint("ops:read").text)
    problem(nobody(stack).post(path, json=body, headers=reader), "scope_missing")
    assert nobody(stack).get("/v1/pools", headers=reader).status_code == 200
    problem(stack.client.post(f"/v1/pools/simulated/nobody-asked/{act}", json=body), "not_found")


@pytest.mark.parametrize(
    ("act", "body"),
    [
        ("pause", {"for": "soon"}),
        ("pause", {"until": "noon"}),
        ("announce", {"requests_per_minute": 0}),
        ("announce", {"requests_per_minute": "600"}),
        ("breaker", {}),
        ("breaker", {"state": "ajar"}),
        ("resume", {"now": True}),
    ],
)
def test_what_makes_no_sense_is_refused(stack: Stack, act: str, body: dict[str, Any]) -> None:
    pool(stack)
    answer = stack.client.post(f"/v1/pools/{_POOL}/{act}", json=body)
    assert answer.status_code == 422, answer.text
