"""What a submit may say, and what the job then says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.routers.support import echo, fresh, problem, submitted, untouched
from tests.stack import Stack

JOB = {
    "id", "object", "workflow", "version", "status", "terminal", "reason", "revision", "lane", "priority", "progress",
    "input", "output", "error", "disposition", "degraded", "attempt", "attempts", "usage", "cache", "webhook_delivery",
    "tags", "metadata", "batch_id", "created_at", "started_at", "ended_at", "deadline", "expires_at", "trace", "urls",
    "ordering_key", "due_at",
}  # fmt: skip


def test_the_job_has_every_field_of_the_contract(stack: Stack) -> None:
    job = stack.submit("noop", {"n": 1}, tags=["a", "日本"], metadata={"k": "v"}, priority=9, wait=20)
    assert set(job) >= JOB
    assert (job["object"], job["priority"], job["tags"], job["metadata"]) == ("job", 9, ["a", "日本"], {"k": "v"})
    assert (job["ordering_key"], job["due_at"]) == (None, None)
    assert set(job["urls"]) == {"self", "events", "trace", "cancel", "retry", "output"}
    assert set(job["usage"]) == {"input_tokens", "output_tokens", "cached_tokens", "calls", "cost_usd", "saved_usd"}
    assert set(job["attempts"][0]) == {"n", "status", "error", "cost_usd", "started_at", "ended_at"}
    for name in ("created_at", "started_at", "ended_at", "expires_at"):
        assert job[name].endswith("Z")


def test_versions_stand_side_by_side(stack: Stack) -> None:
    for version, output in ((None, "two"), ("1", "one"), ("2", "two")):
        query = {"version": version} if version else {}
        answer = stack.client.post(
            "/v1/workflows/versioned/jobs", params=query, json={"input": {"n": 1}}, headers={"Prefer": "wait=20"}
        )
        assert (answer.json()["version"], answer.json()["output"]) == (version or "2", output)


@pytest.mark.parametrize(
    ("workflow", "lane", "own"),
    [
        ("noop-fast", "standard", "interactive"),
        ("noop-fast", "bulk", "interactive"),
        ("noop", "bulk", "standard"),
        ("noop", "standard", "standard"),
        ("noop", None, "standard"),
    ],
)
def test_a_lane_may_be_lowered(stack: Stack, workflow: str, lane: str | None, own: str) -> None:
    assert stack.submit(workflow, {"n": 1}, **({"lane": lane} if lane else {}))["lane"] == (lane or own)


def test_the_limits_of_tags_and_metadata(stack: Stack) -> None:
    tags = [f"{n:0100d}" for n in range(50)]
    metadata = {f"{n:0100d}": "x" * 1000 for n in range(50)}
    job = stack.submit("noop", {"n": 1}, tags=tags, metadata=metadata)
    assert (job["tags"], job["metadata"]) == (tags, metadata)
    assert stack.job(job["id"])["metadata"] == metadata


def test_priority_decides_within_the_lane(stack: Stack) -> None:
    low = stack.submit("noop-fast", {"n": 1}, priority=0)
    high = stack.submit("noop-fast", {"n": 1}, priority=9)
    assert (low["priority"], high["priority"]) == (0, 9)


@pytest.mark.parametrize("cost", ["0.000000001", 0.5, 999999999, "1"])
def test_a_cost_cap_in_every_form(stack: Stack, cost: Any) -> None:
    assert stack.post("noop", {"n": 1}, max_cost_usd=cost).status_code == 202


def test_a_cost_cap_stops_the_job_before_the_call(stack: Stack) -> None:
    """What its input alone costs is known before it is made."""
    text, calls = fresh(), len(stack.provider.calls())
    stack.provider.set_answers({text: {"label": "fine"}})
    job = stack.submit("asks-again", {"text": text}, max_cost_usd="0.000000001", wait=20)
    assert (job["status"], job["error"]["code"]) == ("failed", "cost_cap_reached")
    assert (job["usage"]["calls"], len(stack.provider.calls()) - calls) == (0, 0)
    assert stack.submit("asks-again", {"text": text}, max_cost_usd="1", wait=20)["output"] == 2


WEBHOOKS: list[tuple[dict[str, Any], str, str]] = [
    ({"url": "ftp://example.com/"}, "webhook_url_forbidden", "/webhook/url"),
    ({"url": "nothing"}, "webhook_url_forbidden", "/webhook/url"),
    ({"url": "http://"}, "webhook_url_forbidden", "/webhook/url"),
    ({"url": "http://user:pw@127.0.0.1/"}, "webhook_url_forbidden", "/webhook/url"),
    ({"url": "http://127.0.0.1:99999/"}, "webhook_url_forbidden", "/webhook/url"),
    ({"url": "http://127.0.0.1/\n"}, "webhook_url_forbidden", "/webhook/url"),
    ({"url": "x" * 2001}, "input_invalid", "/webhook/url"),
    ({"url": ""}, "input_invalid", "/webhook/url"),
    ({"url": 1}, "input_invalid", "/webhook/url"),
    ({"url": "http://127.0.0.1/", "events": []}, "input_invalid", "/webhook/events"),
    ({"url": "http://127.0.0.1/", "events": ["job.done"]}, "input_invalid", "/webhook/events"),
    ({"url": "http://127.0.0.1/", "events": "job.failed"}, "input_invalid", "/webhook/events"),
    ({"url": "http://127.0.0.1/", "secret": "geheim"}, "input_invalid", "/webhook/secret"),
    ({"url": "http://127.0.0.1/", "secret": ""}, "input_invalid", "/webhook/secret"),
    ({"url": "http://127.0.0.1/", "sekret": "x"}, "unknown_field", "/webhook/sekret"),
]


@pytest.mark.parametrize(("webhook", "code", "pointer"), WEBHOOKS)
def test_a_bad_webhook(stack: Stack, webhook: dict[str, Any], code: str, pointer: str) -> None:
    with untouched(stack):
        answer = stack.post("noop", {"n": 1}, webhook=webhook)
        problem(answer, code, pointer)
    assert "geheim" not in answer.text


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/",
        "https://2130706433/",
        "http://example.com/",
        "https://nothing.invalid/",
        "https://0x7f.1/",
    ],
)
def test_a_webhook_goes_to_public_addresses_only(strict: Stack, url: str) -> None:
    with untouched(strict):
        problem(
            submitted(strict, echo(1, webhook={"url": url})),
            "webhook_url_forbidden",
            "/webhook/url",
        )


def test_validate_only_tells_what_a_submit_would_meet_and_starts_nothing(stack: Stack) -> None:
    path = "/v1/workflows/noop/jobs?validate_only=true"
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"input": {"n": "x"}}, "/input/n", "input_invalid"),
        ({"input": {"n": 1, "m": 2}}, "/input/m", "unknown_field"),
        ({"input": {"n": 1}, "lane": "interactive"}, "/lane", "input_invalid"),
        ({"input": {"n": 1}, "max_cost_usd": 0}, "/max_cost_usd", "max_cost_too_low"),
        ({"input": {"n": 1}, "webhook": {"url": "ftp://x"}}, "/webhook/url", "webhook_url_forbidden"),
        ({"input": {"n": 1}, "colour": "red"}, "/colour", "unknown_field"),
    ]
    with untouched(stack):
        good = stack.client.post(path, json={"input": {"n": 1}}, headers={"Idempotency-Key": fresh()})
        bad = [stack.client.post(path, json=body) for body, _, _ in wrong]
        problem(stack.client.post(path, content=b"{", headers={"Content-Type": "application/json"}), "malformed_json")
    assert (good.status_code, good.json()["valid"], good.json()["errors"]) == (200, True, [])
    assert set(good.json()) == {"valid", "errors", "estimate", "cache_hit", "queue_eta_s"}
    assert set(good.json()["estimate"]) == {"input_tokens", "cost_usd", "duration_s"}
    for answer, (_, pointer, code) in zip(bad, wrong, strict=True):
        assert (answer.status_code, answer.json()["valid"]) == (200, False)
        assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]
