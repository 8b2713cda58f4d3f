"""NUL bytes, lone surrogates and huge numbers wherever a client can put them: given back as they came, or refused."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.routers.support import alone, echo, fresh, problem, submitted, untouched
from tests.stack import Stack, until

ODD = {
    "NUL": "a\x00b",
    "high surrogate": "a\ud800b",
    "low surrogate": "\udfff",
    "turned pair": "\udc00\ud800",
    "pair": "\U0001f600",
    "noncharacter": "\uffff\ufdd0",
    "line separators": "\u2028\u2029\x7f\x85",
    "bidirectional": "\u202eabc",
}
SURROGATES = ("high surrogate", "low surrogate", "turned pair")
VALUES = {
    **ODD,
    "names": {text: text for name, text in ODD.items() if name not in SURROGATES},
    "2^70 + 1": 2**70 + 1,
    "-2^70": -(2**70),
    "2^64": 2**64,
    "2^63": 2**63,
    "many digits": int("123456789" * 20),
    "with a surrogate": ["\ud800", 2**70 + 1, 0.1, 1e308, -0.0, 5e-324],
    "long": "x" * 1_000_000,
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_any_json_is_given_back_as_it_came(stack: Stack, value: Any) -> None:
    answer = submitted(stack, echo(value), Prefer="wait=20")
    assert answer.status_code == 201, answer.text
    job = json.loads(answer.text)
    assert job["status"] == "succeeded", job["error"]
    assert job["input"] == job["output"] == {"value": value}
    path = f"/v1/jobs/{job['id']}"
    assert json.loads(stack.client.get(path).text)["output"] == {"value": value}
    assert json.loads(stack.client.get(path + "/output").text) == {"value": value}
    spans = json.loads(stack.client.get(path + "/trace").text)["spans"]
    assert [span["attributes"]["output"] for span in spans if span["kind"] == "step"] == [value]


def test_duplicate_names_take_the_last(stack: Stack) -> None:
    answer = submitted(stack, '{"input":{"value":1},"input":{"value":2}}', Prefer="wait=20")
    assert answer.json()["output"] == {"value": 2}


def test_a_number_the_model_cannot_hold_is_kept_exactly(stack: Stack) -> None:
    body = json.dumps({"input": {"n": 2**70 + 1}})
    headers = {"Content-Type": "application/json", "Prefer": "wait=20"}
    answer = stack.client.post("/v1/workflows/noop/jobs", content=body, headers=headers)
    assert json.loads(answer.text)["output"] == {"n": 2**70 + 1}


REFUSED = ["a\x00b", "\ud800", "\udfff"]
PLACES: dict[str, tuple[dict[str, Any], str]] = {
    "tag": ({"tags": ["fine", "?"]}, "/tags/1"),
    "metadata value": ({"metadata": {"a": "?"}}, "/metadata/a"),
    "dedupe key": ({"dedupe": {"key": "?"}}, "/dedupe/key"),
    "webhook URL": ({"webhook": {"url": "http://127.0.0.1/?"}}, "/webhook/url"),
    "webhook secret": ({"webhook": {"url": "http://127.0.0.1/", "secret": "whsec_?"}}, "/webhook/secret"),
    "webhook event": ({"webhook": {"url": "http://127.0.0.1/", "events": ["?"]}}, "/webhook/events"),
    "lane": ({"lane": "?"}, "/lane"),
    "on_disconnect": ({"on_disconnect": "?"}, "/on_disconnect"),
    "run_at": ({"run_at": "?"}, "/run_at"),
    "start_within": ({"start_within": "?"}, "/start_within"),
    "max_cost_usd": ({"max_cost_usd": "?"}, "/max_cost_usd"),
}


@pytest.mark.parametrize("text", REFUSED, ids=["NUL", "high", "low"])
@pytest.mark.parametrize(("more", "pointer"), PLACES.values(), ids=PLACES.keys())
def test_odd_text_beside_the_input_is_refused(stack: Stack, more: dict[str, Any], pointer: str, text: str) -> None:
    body = echo(1, **more).replace("?", json.dumps(text)[1:-1])
    with untouched(stack):
        answer = submitted(stack, body)
    found = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert found["errors"][0]["pointer"].startswith(pointer)


@pytest.mark.parametrize("text", REFUSED, ids=["NUL", "high", "low"])
def test_odd_names_are_refused(stack: Stack, text: str) -> None:
    bodies = [{"input": {"value": 1}, text: 1}, {"input": {"value": 1}, "metadata": {text: "a"}}, {"input": {text: 1}}]
    for body in map(json.dumps, bodies):
        with untouched(stack):
            answer = submitted(stack, body)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text


def test_a_lone_surrogate_as_a_name_is_refused(stack: Stack) -> None:
    """No workflow could be handed such a name as JSON."""
    for name in (ODD[odd] for odd in SURROGATES):
        with untouched(stack):
            problem(submitted(stack, echo({name: 1})), "input_invalid", "/input")


def test_a_model_is_asked_about_odd_text(stack: Stack) -> None:
    """The prompt cannot go out as it is, but the job ends like any other."""
    for text in (fresh() + "\ud800", fresh() + "\x00"):
        body = json.dumps({"input": {"text": text}})
        headers = {"Content-Type": "application/json", "Prefer": "wait=20"}
        answer = stack.client.post("/v1/workflows/asks/jobs", content=body, headers=headers)
        job = json.loads(answer.text)
        assert answer.status_code == 201
        assert job["input"] == {"text": text}
        assert stack.client.get(f"/v1/jobs/{job['id']}/trace").status_code == 200


def test_a_webhook_tells_odd_output(stack: Stack) -> None:
    for value in ("\ud800", "\x00", 2**70 + 1):
        path = f"/{fresh()}"
        hook = {"url": stack.hooks.answer(path)}
        answer = submitted(stack, echo(value, webhook=hook))
        assert answer.status_code == 202
        until(lambda path=path: stack.hooks.received(path))  # type: ignore[misc]
        (arrival,) = stack.hooks.received(path)
        body = arrival["body"] if isinstance(arrival["body"], str) else json.dumps(arrival["body"])
        assert json.loads(body)["data"]["output"] == {"value": value}


def test_neighbours_in_a_group_commit_do_not_suffer(stack: Stack) -> None:
    """Odd and plain submits at the same moment: each gets what it would get alone."""
    bodies = [
        json.dumps(
            {
                "input": {"value": n},
                "tags": ["\ud800"] if n % 4 == 0 else [],
                "metadata": {"a": "\x00"} if n % 4 == 1 else {},
            }
        )
        for n in range(80)
    ]

    def send(body: str) -> int:
        headers = {"Authorization": stack.client.headers["authorization"], "Content-Type": "application/json"}
        return alone(stack, "/v1/workflows/echo/jobs", content=body, headers=headers).status_code

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(send, bodies))
    assert found == [422 if n % 4 in (0, 1) else 202 for n in range(80)]


def test_headers_with_odd_bytes(stack: Stack) -> None:
    for name in (b"Prefer", b"If-None-Match", b"traceparent", b"Accept", b"X-Request-Id"):
        for value in (b"\xff\xfe", b"wait=\xb2", b'"r\xb2"', b"x" * 5000):
            answer = stack.client.post("/v1/workflows/noop/jobs", json={"input": {"n": 1}}, headers={name: value})
            assert answer.status_code == 202, (name, value)
    with untouched(stack):
        for value in (b"\xff", b"a b", b"", b"x" * 256, b'""'):
            sent = {b"Idempotency-Key": value}
            problem(
                stack.client.post("/v1/workflows/noop/jobs", json={"input": {"n": 1}}, headers=sent), "invalid_header"
            )
