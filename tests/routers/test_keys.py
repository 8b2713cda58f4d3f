"""Who may call: keys, their scopes, their end, their project."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.routers.support import Keys, fresh, nobody, problem
from tests.stack import KEY, Stack, bearer, until

JOBS = "/v1/jobs"


def ask(stack: Stack, path: str = JOBS, method: str = "GET", **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    return nobody(stack).request(method, path, headers=sent)


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_load_balancer_may_ask_with_head(stack: Stack, path: str) -> None:
    answer = nobody(stack).head(path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/docs", "/redoc", "/openapi.json"])
def test_open_to_read_without_a_key(stack: Stack, path: str) -> None:
    assert ask(stack, path).status_code == 200


PROTECTED = [
    ("GET", "/v1/workflows"), ("GET", "/v1/workflows/noop"), ("GET", "/v1/workflows/noop/versions/1"),
    ("POST", "/v1/workflows/noop/jobs"), ("GET", "/v1/jobs"), ("GET", "/v1/jobs/job_x"),
    ("GET", "/v1/jobs/job_x/output"), ("GET", "/v1/jobs/job_x/trace"), ("POST", "/v1/jobs/job_x/cancel"),
    ("POST", "/v1/jobs/job_x/retry"), ("GET", "/v1/status"), ("GET", "/v1/usage"), ("GET", "/v1/limits"),
    ("GET", "/v1/errors"), ("GET", "/v1/audit"), ("POST", "/v1/api-keys"), ("GET", "/v1/api-keys"),
    ("GET", "/v1/api-keys/key_x"), ("PATCH", "/v1/api-keys/key_x"), ("DELETE", "/v1/api-keys/key_x"),
    ("POST", "/v1/api-keys/key_x/rotate"), ("POST", "/v1/projects"), ("GET", "/v1/projects"),
    ("GET", "/v1/projects/prj_x"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_everything_else_asks_for_a_key(stack: Stack, method: str, path: str) -> None:
    answer = ask(stack, path, method)
    problem(answer, "missing_key")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_both_headers_carry_a_key(stack: Stack) -> None:
    assert ask(stack, authorization=f"Bearer {KEY}").status_code == 200
    assert ask(stack, authorization=f"bearer   {KEY}").status_code == 200
    assert ask(stack, x_api_key=KEY).status_code == 200


@pytest.mark.parametrize("text", ["x", KEY + "1", KEY[:-1], KEY.upper(), "lw_live_", "lw_live_" + "é" * 32, KEY * 400])
def test_an_unknown_key_is_refused(stack: Stack, text: str) -> None:
    for name in ("authorization", "x-api-key"):
        value = (f"Bearer {text}" if name == "authorization" else text).encode("latin-1")
        problem(nobody(stack).get(JOBS, headers={name.encode(): value}), "invalid_key")


@pytest.mark.parametrize("text", ["", "Bearer", f"Basic {KEY}", KEY])
def test_another_scheme_is_no_key(stack: Stack, text: str) -> None:
    problem(ask(stack, authorization=text), "missing_key")


SCOPED = [
    ("jobs:write", "GET", "/v1/jobs"), ("jobs:write", "GET", "/v1/workflows"),
    ("jobs:write", "GET", "/v1/jobs/job_x/trace"), ("jobs:read", "POST", "/v1/workflows/noop/jobs"),
    ("jobs:read", "POST", "/v1/jobs/job_x/cancel"), ("jobs:read", "POST", "/v1/jobs/job_x/retry"),
    ("jobs:read", "GET", "/v1/status"), ("jobs:read", "GET", "/v1/api-keys"), ("jobs:write", "GET", "/v1/limits"),
    ("jobs:read", "POST", "/v1/projects"), ("jobs:read", "POST", "/v1/api-keys/key_x/rotate"),
]  # fmt: skip


def test_a_scope_opens_its_own_doors_only(stack: Stack, keys: Keys) -> None:
    minted = {scope: keys.mint(scope).text for scope in ("jobs:read", "jobs:write")}
    for scope, method, path in SCOPED:
        problem(ask(stack, path, method, authorization=f"Bearer {minted[scope]}"), "scope_missing")
    assert ask(stack, authorization=f"Bearer {minted['jobs:read']}").status_code == 200


def test_an_expired_key_and_one_that_expires_are_refused(stack: Stack, keys: Keys) -> None:
    now = datetime.now(UTC)
    problem(ask(stack, x_api_key=keys.mint(expires_at=now - timedelta(seconds=1)).text), "invalid_key")
    soon = keys.mint(expires_at=now + timedelta(seconds=1)).text
    assert ask(stack, x_api_key=soon).status_code == 200
    until(lambda: ask(stack, x_api_key=soon).status_code == 401, 4)


def test_a_revoked_key_ends_within_a_second(stack: Stack, keys: Keys) -> None:
    minted = keys.mint()
    assert ask(stack, x_api_key=minted.text).status_code == 200
    keys.revoke(minted)
    time.sleep(1.1)
    problem(ask(stack, x_api_key=minted.text), "invalid_key")


def test_another_projects_job_does_not_exist(stack: Stack, keys: Keys) -> None:
    job = stack.submit("noop", {"n": 1}, wait=20)
    foreign = bearer(keys.mint(project=fresh()).text)
    for method, path in (("GET", ""), ("GET", "/output"), ("GET", "/trace"), ("POST", "/cancel"), ("POST", "/retry")):
        answer = nobody(stack).request(method, f"/v1/jobs/{job['id']}{path}", headers=foreign)
        problem(answer, "not_found")
    known = nobody(stack).get(f"/v1/jobs/{job['id']}", headers={**foreign, "If-None-Match": '"r3"'})
    problem(known, "not_found")
    waited = nobody(stack).get(f"/v1/jobs/{job['id']}", headers={**foreign, "Prefer": "wait=5"})
    problem(waited, "not_found")
    assert nobody(stack).get("/v1/jobs", headers=foreign).json()["data"] == []


def test_the_same_idempotency_key_is_another_one_in_another_project(stack: Stack, keys: Keys) -> None:
    mine = stack.post("noop", {"n": 1}, key="shared")
    foreign = {**bearer(keys.mint(project="elsewhere").text), "Idempotency-Key": "shared"}
    other = nobody(stack).post("/v1/workflows/noop/jobs", json={"input": {"n": 2}}, headers=foreign)
    assert other.status_code == 202
    assert other.json()["id"] != mine.json()["id"]


def test_a_key_may_be_bound_to_workflows(stack: Stack, keys: Keys) -> None:
    bound = bearer(keys.mint(workflows=["noop"]).text)
    with httpx.Client(base_url=stack.url, headers=bound, trust_env=False) as client:
        assert [one["name"] for one in client.get("/v1/workflows").json()["data"]] == ["noop"]
        assert client.post("/v1/workflows/noop/jobs", json={"input": {"n": 1}}).status_code == 202
        problem(client.post("/v1/workflows/echo/jobs", json={"input": {"value": 1}}), "workflow_not_allowed")
        problem(client.get("/v1/workflows/echo"), "workflow_not_allowed")
        failed = stack.submit("wrong", {"kind": "input"}, wait=20)
        problem(client.post(f"/v1/jobs/{failed['id']}/retry"), "workflow_not_allowed")


def test_a_test_key_marks_its_jobs(stack: Stack, keys: Keys) -> None:
    test_key = bearer(keys.mint(mode="test").text)
    answer = nobody(stack).post("/v1/workflows/noop/jobs", json={"input": {"n": 1}}, headers=test_key)
    assert (answer.json()["test"], answer.json()["simulated"]) == (True, True)


def test_a_key_makes_no_stronger_one(stack: Stack, keys: Keys) -> None:
    def made(key: str, **wanted: object) -> httpx.Response:
        return nobody(stack).post("/v1/api-keys", json={"name": "child", **wanted}, headers=bearer(key))

    admin, test = keys.mint("keys:admin", "jobs:read").text, keys.mint(mode="test").text
    assert made(admin).json()["scopes"] == ["jobs:read", "keys:admin"]
    problem(made(admin, scopes=["jobs:write"]), "input_invalid", "/scopes")
    problem(made(test, mode="live"), "input_invalid", "/mode")
    assert made(test, mode="test").status_code == 201
