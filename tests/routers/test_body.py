"""Bodies that are no good: each is a problem that names the place, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.routers.support import Keys, Line, problem, request, submitted, untouched
from tests.stack import KEY, Stack, bearer

DEEP = 100_000
MALFORMED = {
    "open": b"{",
    "words": b"hello",
    "single quotes": b"{'input': 1}",
    "trailing comma": b'{"input": {"value": 1,}}',
    "comment": b'{"input": /* no */ {"value": 1}}',
    "two values": b'{"input":{"value":1}}{"input":{"value":1}}',
    "NaN": b'{"input":{"value":NaN}}',
    "Infinity": b'{"input":{"value":-Infinity}}',
    "too large a float": b'{"input":{"value":1e400}}',
    "too large a float beside a surrogate": b'{"input":{"value":["\\ud800",1e400]}}',
    "NaN beside a surrogate": b'{"input":{"value":["\\ud800",NaN]}}',
    "a number of 5000 digits": b'{"input":{"value":' + b"1" * 5000 + b"}}",
    "raw NUL in a text": b'{"input":{"value":"\x00"}}',
    "NUL": b"\x00",
    "invalid UTF-8": b'{"input":{"value":"\xff"}}',
    "overlong UTF-8": b'{"input":{"value":"\xc0\x80"}}',
    "surrogate as UTF-8": b'{"input":{"value":"\xed\xa0\x80"}}',
    "UTF-16": '{"input":{"value":1}}'.encode("utf-16"),
    "deep lists": b'{"input":{"value":' + b"[" * DEEP + b"]" * DEEP + b"}}",
    "deep objects": b'{"input":{"value":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}}",
    "deep and open": b"[" * DEEP,
    "deep beside a surrogate": b'{"input":{"value":["\\ud800",' + b"[" * DEEP + b"]" * DEEP + b"]}}",
    "a little too deep": b'{"input":{"value":' + b"[" * 99 + b"]" * 99 + b"}}",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_json(stack: Stack, body: bytes) -> None:
    with untouched(stack):
        problem(submitted(stack, body), "malformed_json")


def test_json_as_deep_as_allowed(stack: Stack) -> None:
    body = b'{"input":{"value":' + b"[" * 98 + b"]" * 98 + b"}}"
    answer = submitted(stack, body, Prefer="wait=20")
    assert answer.json()["status"] == "succeeded"
    assert orjson.dumps(answer.json()["output"]["value"]) == b"[" * 98 + b"]" * 98


WRONG: dict[str, tuple[Any, str, str]] = {
    "a list": ([], "input_invalid", ""),
    "a text": ("x", "input_invalid", ""),
    "null": (None, "input_invalid", ""),
    "no input": ({}, "input_invalid", "/input"),
    "null input": ({"input": None}, "input_invalid", "/input"),
    "a list as input": ({"input": [1]}, "input_invalid", "/input"),
    "wrong type": ({"input": {"n": "x"}}, "input_invalid", "/input/n"),
    "a float for an integer": ({"input": {"n": 1.5}}, "input_invalid", "/input/n"),
    "missing": ({"input": {}}, "input_invalid", "/input/n"),
    "unknown in input": ({"input": {"n": 1, "m": 2}}, "unknown_field", "/input/m"),
    "unknown at the top": ({"input": {"n": 1}, "prioritty": 3}, "unknown_field", "/prioritty"),
    "unknown with a slash": ({"input": {"n": 1, "a/b~c": 2}}, "unknown_field", "/input/a~1b~0c"),
    "priority too high": ({"input": {"n": 1}, "priority": 10}, "input_invalid", "/priority"),
    "priority below": ({"input": {"n": 1}, "priority": -1}, "input_invalid", "/priority"),
    "priority 2^70": ({"input": {"n": 1}, "priority": 1e21}, "input_invalid", "/priority"),
    "priority text": ({"input": {"n": 1}, "priority": "5"}, "input_invalid", "/priority"),
    "ordering key empty": ({"input": {"n": 1}, "ordering_key": ""}, "input_invalid", "/ordering_key"),
    "ordering key too long": ({"input": {"n": 1}, "ordering_key": "k" * 256}, "input_invalid", "/ordering_key"),
    "ordering key number": ({"input": {"n": 1}, "ordering_key": 7}, "input_invalid", "/ordering_key"),
    "off peak text": ({"input": {"n": 1}, "off_peak": "yes"}, "input_invalid", "/off_peak"),
    "priority bool": ({"input": {"n": 1}, "priority": True}, "input_invalid", "/priority"),
    "lane unknown": ({"input": {"n": 1}, "lane": "fast"}, "input_invalid", "/lane"),
    "lane raised": ({"input": {"n": 1}, "lane": "interactive"}, "input_invalid", "/lane"),
    "lane of the house": ({"input": {"n": 1}, "lane": "delivery"}, "input_invalid", "/lane"),
    "on_disconnect": ({"input": {"n": 1}, "on_disconnect": "explode"}, "input_invalid", "/on_disconnect"),
    "tags no list": ({"input": {"n": 1}, "tags": "x"}, "input_invalid", "/tags"),
    "a tag that is no text": ({"input": {"n": 1}, "tags": [1]}, "input_invalid", "/tags/0"),
    "an empty tag": ({"input": {"n": 1}, "tags": [""]}, "input_invalid", "/tags/0"),
    "a long tag": ({"input": {"n": 1}, "tags": ["x" * 101]}, "input_invalid", "/tags/0"),
    "many tags": ({"input": {"n": 1}, "tags": ["x"] * 51}, "input_invalid", "/tags"),
    "metadata no object": ({"input": {"n": 1}, "metadata": []}, "input_invalid", "/metadata"),
    "metadata of numbers": ({"input": {"n": 1}, "metadata": {"a": 1}}, "input_invalid", "/metadata/a"),
    "long metadata": ({"input": {"n": 1}, "metadata": {"a": "x" * 1001}}, "input_invalid", "/metadata/a"),
    "much metadata": ({"input": {"n": 1}, "metadata": {str(n): "" for n in range(51)}}, "input_invalid", "/metadata"),
    "dedupe": ({"input": {"n": 1}, "dedupe": True}, "input_invalid", "/dedupe"),
    "dedupe unknown": ({"input": {"n": 1}, "dedupe": {"for": "1h"}}, "unknown_field", "/dedupe/for"),
    "dedupe verb": ({"input": {"n": 1}, "dedupe": {"on_duplicate": "x"}}, "input_invalid", "/dedupe/on_duplicate"),
    "empty dedupe key": ({"input": {"n": 1}, "dedupe": {"key": ""}}, "input_invalid", "/dedupe/key"),
    "cost negative": ({"input": {"n": 1}, "max_cost_usd": -1}, "input_invalid", "/max_cost_usd"),
    "cost NaN": ({"input": {"n": 1}, "max_cost_usd": "NaN"}, "input_invalid", "/max_cost_usd"),
    "cost 1e400": ({"input": {"n": 1}, "max_cost_usd": "1e400"}, "input_invalid", "/max_cost_usd"),
    "cost too fine": ({"input": {"n": 1}, "max_cost_usd": "0.0000000001"}, "input_invalid", "/max_cost_usd"),
    "cost too much": ({"input": {"n": 1}, "max_cost_usd": 10**10}, "input_invalid", "/max_cost_usd"),
    "webhook text": ({"input": {"n": 1}, "webhook": "http://x"}, "input_invalid", "/webhook"),
    "webhook without URL": ({"input": {"n": 1}, "webhook": {}}, "input_invalid", "/webhook/url"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "code", "pointer"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_body(stack: Stack, body: Any, code: str, pointer: str) -> None:
    with untouched(stack):
        problem(stack.client.post("/v1/workflows/noop/jobs", content=orjson.dumps(body), headers=JSON), code, pointer)


JSON = {"Content-Type": "application/json"}


def test_an_empty_body_lacks_the_input(stack: Stack) -> None:
    with untouched(stack):
        problem(stack.client.post("/v1/workflows/noop/jobs"), "input_invalid", "/input")
        problem(stack.client.post("/v1/workflows/noop/jobs", content=b"  \n", headers=JSON), "input_invalid", "/input")


def test_no_cost_at_all_starts_nothing(stack: Stack) -> None:
    with untouched(stack):
        body = {"input": {"n": 1}, "max_cost_usd": 0}
        problem(stack.client.post("/v1/workflows/noop/jobs", json=body), "max_cost_too_low", "/max_cost_usd")


def test_a_hundred_faults_are_told_in_part(stack: Stack) -> None:
    with untouched(stack):
        body = {"input": {"n": 1}, **{f"x{n}": 1 for n in range(1000)}}
        found = problem(stack.client.post("/v1/workflows/noop/jobs", json=body), "unknown_field")
    assert len(found["errors"]) == 50


def test_no_answer_repeats_a_long_value(stack: Stack) -> None:
    long = "x" * 1_000_000
    for body in ({"input": {"n": long}}, {"input": {"n": 1}, "start_within": long}, {"input": {"n": 1}, long: 1}):
        with untouched(stack):
            answer = stack.client.post("/v1/workflows/noop/jobs", json=body)
        assert answer.status_code == 422
        assert len(answer.content) < 5000


def test_a_body_that_is_too_large(strict: Stack, keys: Keys) -> None:
    own = bearer(keys.mint(project="large").text)
    small, large = b'{"input":{"value":"' + b"x" * 2000 + b'"}}', b'{"input":{"value":"' + b"x" * 2100 + b'"}}'
    with untouched(strict):
        problem(submitted(strict, large), "payload_too_large")
    assert submitted(strict, small, **own).status_code == 202


def test_a_body_that_is_too_large_and_does_not_say_so(strict: Stack) -> None:
    with untouched(strict):
        head = request(
            strict, "POST", "/v1/workflows/echo/jobs", KEY, Transfer_Encoding="chunked", Content_Type="application/json"
        )
        line = Line(strict)
        line.send(head + b"5dc\r\n" + b"x" * 1500 + b"\r\n" + b"5dc\r\n" + b"x" * 1500 + b"\r\n")
        answer = line.answer()
        line.leave()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"payload_too_large"' in answer


def test_chunks_are_a_body_like_another(stack: Stack) -> None:
    answer = stack.client.post(
        "/v1/workflows/noop/jobs", content=iter([b'{"input":', b'{"n":', b"4}}"]), headers={**JSON, "Prefer": "wait=20"}
    )
    assert answer.json()["output"] == {"n": 4}
