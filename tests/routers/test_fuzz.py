"""Random requests: whatever comes, the answer is a success or a whole problem, and never our fault."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.routers.support import Line
from tests.stack import KEY, Stack

TEXT = st.text(st.characters(exclude_categories=()), max_size=12)
NUMBER = st.integers() | st.floats() | st.integers(min_value=-(2**80), max_value=2**80)
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "webhook", "priority", "lane", "on_disconnect", "run_at", "start_within", "finish_within", "retain_for",
    "max_cost_usd", "dedupe", "off_peak", "ordering_key", "tags", "metadata", "extra",
)  # fmt: skip
INNER = st.dictionaries(
    st.sampled_from(["url", "events", "secret", "key", "within", "on_duplicate", "a"]), VALUE, max_size=4
)
BODY = st.fixed_dictionaries(
    {"input": VALUE | st.fixed_dictionaries({"value": VALUE})},
    optional={name: VALUE | INNER | st.lists(TEXT, max_size=3) for name in FIELDS},
)
PATHS = ["/v1/jobs", "/v1/workflows", "/v1/workflows/echo/jobs", "/v1/jobs/job_" + "0" * 26 + "/retry", "/v1/status"]
HEADER = st.binary(max_size=20).map(lambda data: bytes(byte for byte in data if byte >= 32 and byte != 127).strip())
NAMES = [
    "Prefer",
    "If-None-Match",
    "If-Match",
    "Idempotency-Key",
    "X-Request-Id",
    "traceparent",
    "Accept",
    "Content-Type",
]
QUICK = settings(
    max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)


def sound(answer: httpx.Response) -> None:
    assert answer.status_code < 500, (answer.request.url, answer.request.content, answer.text)
    assert answer.headers["x-request-id"]
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        body = answer.json()
        assert {"type", "title", "status", "detail", "instance", "code", "request_id", "retryable"} <= set(body)
        assert body["status"] == answer.status_code


@given(body=BODY | VALUE, query=st.sampled_from(["", "?validate_only=true"]))
@QUICK
def test_any_json_as_a_submit(stack: Stack, body: Any, query: str) -> None:
    content = json.dumps(body)
    sent = {"Content-Type": "application/json"}
    sound(stack.client.post(f"/v1/workflows/echo/jobs{query}", content=content, headers=sent))


@given(data=st.binary(max_size=60))
@QUICK
def test_any_bytes_as_a_body(stack: Stack, data: bytes) -> None:
    for path in ("/v1/workflows/echo/jobs", "/v1/jobs/job_" + "0" * 26 + "/retry"):
        sound(stack.client.post(path, content=data, headers={"Content-Type": "application/json"}))


@given(
    path=st.sampled_from(PATHS),
    method=st.sampled_from(["GET", "POST"]),
    headers=st.dictionaries(st.sampled_from(NAMES), HEADER, max_size=3),
    query=st.lists(
        st.tuples(
            st.sampled_from([b"limit", b"cursor", b"status", b"tag", b"metadata.a", b"created_after", b"version"])
            | st.binary(max_size=6),
            st.binary(max_size=8),
        ),
        max_size=3,
    ),
    inside=st.none() | st.binary(max_size=10),
)
@QUICK
def test_any_query_and_headers(
    stack: Stack,
    path: str,
    method: str,
    headers: dict[str, bytes],
    query: list[tuple[bytes, bytes]],
    inside: bytes | None,
) -> None:
    tail = "/" + quote_from_bytes(inside, safe="") if inside is not None else ""
    asked = "&".join(f"{quote_from_bytes(name)}={quote_from_bytes(value)}" for name, value in query)
    sound(
        stack.client.request(
            method, f"{path}{tail}?{asked}", headers=[(name.encode(), value) for name, value in headers.items()]
        )
    )


RAW = [
    b"GET /v1/jobs/\xff HTTP/1.1\r\nHost: x\r\n",
    b"GET /v1/jobs?tag=\xff\xfe HTTP/1.1\r\nHost: x\r\n",
    "GET /v1/jobs?limit=1&tag=日本 HTTP/1.1\r\nHost: x\r\n".encode(),
    b"GET /v1/jobs HTTP/1.1\r\nHost: [\r\n",
    b"GET /v1/jobs?limit=1 HTTP/1.1\r\nHost: a b\xff\r\n",
    b"GET http://[/v1/jobs HTTP/1.1\r\nHost: x\r\n",
    b"GET //x/v1/jobs HTTP/1.1\r\nHost: x\r\n",
    b"GET /v1/jobs#x HTTP/1.1\r\nHost: x\r\n",
    b"GET /nothing HTTP/1.1\r\nHost: [\r\n",
    b"GET /v1/jobs HTTP/1.0\r\n",
    b"POST /v1/workflows/echo/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n",
    b"POST /v1/workflows/echo/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n",
]


def test_any_bytes_on_the_wire(stack: Stack) -> None:
    for start in RAW:
        line = Line(stack)
        line.send(start + f"Authorization: Bearer {KEY}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = line.answer().partition(b"\r\n\r\n")
        line.leave()
        status = int(head.split(b" ", 2)[1])
        assert status < 500, (start, head)
        if status >= 400:
            assert b"content-type: application/problem+json" in head, (start, head)
            assert b"x-request-id: " in head
            assert json.loads(body)["status"] == status
    assert stack.client.get("/livez").status_code == 200
