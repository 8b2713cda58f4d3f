"""Breakers of named parts over HTTP: seen by their project and mode alone, forced, and who did stands in the audit."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.routers.support import Keys, nobody, problem
from tests.stack import Stack, bearer, until


@pytest.fixture
def name(stack: Stack) -> str:
    """A breaker that a step has asked, of a part whose name has a slash."""
    name = f"crm/{uuid4().hex}"
    assert stack.submit("behind", {"breaker": name}, wait=20)["status"] == "succeeded"
    return name


def shown(stack: Stack, name: str) -> dict[str, Any] | None:
    """The breaker in the list."""
    found = stack.client.get("/v1/breakers").raise_for_status().json()["data"]
    return next((one for one in found if one["name"] == name), None)


def force(stack: Stack, name: str, state: str) -> dict[str, Any]:
    """Force it; the breaker as it is then."""
    answer = stack.client.post(f"/v1/breakers/{name}", json={"state": state})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_it_is_shown_forced_and_let_go(stack: Stack, name: str) -> None:
    plain = {"name": name, "state": "closed", "forced": False, "since": None, "next_probe_at": None}
    assert shown(stack, name) == plain
    opened = force(stack, name, "open")
    assert (opened["state"], opened["forced"], opened["next_probe_at"]) == ("open", True, None)
    assert opened["since"] is not None
    job = stack.submit("behind", {"breaker": name})["id"]
    until(lambda: stack.job(job)["reason"] == "provider_down")
    assert opened in stack.client.get("/v1/status").json()["breakers"]
    after = force(stack, quote(name, safe=""), "auto")
    assert (after["state"], after["forced"]) == ("open", False)
    assert after["next_probe_at"] > opened["since"]
    assert stack.ended(job)["status"] == "succeeded"
    entries = stack.client.get("/v1/audit").json()["data"]
    assert ["breakers.force", [name, "open"]] in [[entry["action"], entry["tags"]] for entry in entries]


def test_one_key_forces_once(stack: Stack, name: str) -> None:
    header = {"Idempotency-Key": uuid4().hex}
    path, body = f"/v1/breakers/{name}", {"state": "closed"}
    first = stack.client.post(path, json=body, headers=header)
    force(stack, name, "auto")
    again = stack.client.post(path, json=body, headers=header)
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
    found = shown(stack, name)
    assert found is not None and not found["forced"]
    problem(stack.client.post(path, json={"state": "open"}, headers=header), "idempotency_key_reused")


def test_other_projects_and_test_keys_see_nothing_of_it(stack: Stack, keys: Keys, name: str) -> None:
    for key in (
        keys.mint("ops:read", "ops:write", project="elsewhere"),
        keys.mint("ops:read", "ops:write", mode="test"),
    ):
        other = nobody(stack)
        assert name not in str(other.get("/v1/breakers", headers=bearer(key.text)).json())
        assert name not in str(other.get("/v1/status", headers=bearer(key.text)).json()["breakers"])
        answer = other.post(f"/v1/breakers/{name}", json={"state": "open"}, headers=bearer(key.text))
        problem(answer, "not_found")
    assert force(stack, name, "auto")["state"] == "closed"


def test_it_needs_its_scope_and_a_breaker(stack: Stack, keys: Keys, name: str) -> None:
    path, body = f"/v1/breakers/{name}", {"state": "open"}
    problem(nobody(stack).post(path, json=body), "missing_key")
    reader = bearer(keys.mint("ops:read").text)
    problem(nobody(stack).post(path, json=body, headers=reader), "scope_missing")
    problem(stack.client.post("/v1/breakers/nobody-asked", json=body), "not_found")


@pytest.mark.parametrize("body", [{}, {"state": "ajar"}, {"state": "open", "for": "1m"}])
def test_what_it_is_to_be_is_checked(stack: Stack, name: str, body: dict[str, Any]) -> None:
    assert stack.client.post(f"/v1/breakers/{name}", json=body).status_code == 422
