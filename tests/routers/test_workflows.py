"""What can be submitted: workflows, their versions and schemas; and the health of the service."""

from __future__ import annotations

from typing import Any

import httpx

from tests.stack import Stack, until


def test_the_list(stack: Stack) -> None:
    data = stack.client.get("/v1/workflows").json()["data"]
    names = [one["name"] for one in data]
    assert names == sorted(names)
    assert {"review-sentiment", "moderate-post", "noop", "versioned"} <= set(names)
    (versioned,) = [one for one in data if one["name"] == "versioned"]
    assert (versioned["version"], versioned["versions"]) == ("2", ["1", "2"])


def test_one_with_its_schemas(stack: Stack) -> None:
    found = stack.client.get("/v1/workflows/review-sentiment").json()
    assert found["object"] == "workflow"
    assert found["lane"] == "standard"
    assert found["sla_s"] == 60
    assert found["description"].startswith("Tells whether")
    assert found["input_schema"]["properties"]["text"]["maxLength"] == 20_000
    assert set(found["output_schema"]["properties"]) == {"label", "confidence", "decided_by"}


def test_a_version(stack: Stack) -> None:
    for version in ("1", "2"):
        assert stack.client.get(f"/v1/workflows/versioned/versions/{version}").json()["version"] == version


def test_recent_figures_appear(stack: Stack) -> None:
    stack.submit("asks-twice", {"text": "figures"}, wait=20)
    until(lambda: stack.client.get("/v1/workflows/asks-twice").json()["recent"] is not None, 15)
    found = stack.client.get("/v1/workflows/asks-twice").json()
    assert 0 < found["recent"]["p50_s"] <= found["recent"]["p95_s"]


def test_an_old_version_says_so(stack: Stack) -> None:
    """RFC 9745 and RFC 8594."""
    answers = [
        stack.client.get("/v1/workflows/fading/versions/1"),
        stack.client.post("/v1/workflows/fading/jobs?version=1", json={"input": {"n": 1}}),
        stack.client.post("/v1/workflows/fading/jobs?version=1&validate_only=true", json={"input": {"n": 1}}),
    ]
    for answer in answers:
        assert answer.status_code in (200, 202)
        assert answer.headers["deprecation"] == "@1767225600"
        assert answer.headers["sunset"] == "Tue, 01 Jan 2030 00:00:00 GMT"
    assert "deprecation" not in stack.client.get("/v1/workflows/noop").headers


def test_alive_and_ready(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url, trust_env=False) as nobody:
        assert nobody.get("/livez").json() == {"status": "ok"}
        ready = nobody.get("/readyz")
        assert ready.json() == {"status": "ok", "parts": {"database": "ok", "redis": "ok"}}
        assert ready.headers["cache-control"] == "no-store"


def test_status(stack: Stack) -> None:
    stack.submit("noop-fast", {"n": 1})

    def interactive() -> dict[str, Any]:
        return dict({lane["lane"]: lane for lane in stack.client.get("/v1/status").json()["lanes"]}["interactive"])

    until(lambda: interactive()["queued"] >= 1)
    assert interactive()["oldest_s"] >= 0
    found = stack.client.get("/v1/status").json()
    assert found["processes"]["serve"] >= 1
    assert found["processes"]["work"] >= 1
    assert found["provider_simulated"] is True
