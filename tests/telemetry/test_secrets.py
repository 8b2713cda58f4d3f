"""Canaries: what clients, authors and providers say stays in SQL, and is not in logs, spans, Redis or error bodies."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import redis

from app.store.database import open_database
from app.telemetry.logs import ALLOWED
from app.telemetry.place import kind_of
from tests.stack import KEY, Stack, until
from tests.telemetry.collector import Collector
from tests.telemetry.conftest import PROVIDER_KEY
from tests.telemetry.spans import told

PROMPT = f"canary{uuid4().hex}"
SECRET = "whsec_" + base64.b64encode(f"canary-secret-{uuid4().hex}".encode()).decode()
WRONG_KEY = "lw_live_" + "c4nary" * 6
CANARIES = (PROMPT, KEY, SECRET, SECRET[6:], WRONG_KEY, PROVIDER_KEY)
CARELESS = ("careless", "careless-outside", "careless-model", "careless-input", "unfit")
ALIASES = ("echo-400", "echo-401", "echo-503", "echo-html")


@dataclass
class Seen:
    """What the outside saw of one eventful run."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: list[httpx.Response] = field(default_factory=list)
    crash: httpx.Response | None = None
    redis: str = ""


@pytest.fixture(scope="module")
def seen(stack: Stack) -> Seen:
    """Jobs that fail in every careless way, requests that are refused, one that meets a bug; all of Redis overheard."""
    found = Seen()
    with overheard(stack.servers.redis_url) as heard:
        for workflow in CARELESS:
            found.jobs[workflow] = stack.submit(workflow, {"text": PROMPT}, wait=20)
        for alias in ALIASES:
            found.jobs[alias] = stack.submit("asks-anyone", {"text": PROMPT, "alias": alias}, wait=20)
        found.jobs["told"] = told(stack, "busy", PROMPT, {"status": 500, "times": 1}, {"status": 200})
        slow = [stack.submit("slow", {"text": f"{PROMPT} {n}"}, tags=["t"], metadata={"m": PROMPT}) for n in range(3)]
        until(lambda: any(stack.job(job["id"])["status"] == "running" for job in slow))
        found.redis = everything(stack.servers.redis_url)
        for job in slow:
            stack.ended(job["id"])
        found.refusals = list(refusals(stack))
        found.crash = crashed(stack)
    found.redis += "\n".join(heard)
    return found


@contextmanager
def overheard(url: str) -> Iterator[list[str]]:
    """Every command that any client sends to Redis inside the block."""
    lines: list[str] = []
    client: Any = redis.Redis.from_url(url)

    def listen() -> None:
        for command in monitor.listen():
            lines.append(str(command["command"]))
            if "end-of-the-run" in lines[-1]:
                return

    with client, client.monitor() as monitor:
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield lines
        client.echo("end-of-the-run")
        thread.join(10)


def everything(url: str) -> str:
    """All keys with their values."""
    made: Any = redis.Redis.from_url(url)
    with made as client:
        found = []
        for key in client.scan_iter(count=1000):
            kind = client.type(key).decode()
            found.append(f"{key!r} {value(client, kind, key)!r}")
        return "\n".join(found)


def value(client: Any, kind: str, key: bytes) -> Any:
    """What a key holds. Raises ValueError for a kind that this test can't read."""
    match kind:
        case "string":
            return client.get(key)
        case "zset":
            return client.zrange(key, 0, -1, withscores=True)
        case "hash":
            return client.hgetall(key)
        case "set":
            return client.smembers(key)
        case "list":
            return client.lrange(key, 0, -1)
        case "none":
            return None
    raise ValueError(kind)


def refusals(stack: Stack) -> Iterator[httpx.Response]:
    """Requests that carry canaries where they do not belong."""
    jobs, post = "/v1/workflows/busy/jobs", stack.client.post
    yield post(jobs, json={"input": {"text": [PROMPT]}})
    yield post(jobs, json={"input": {"text": PROMPT, "more": PROMPT}})
    yield post(jobs, json={"input": {"text": PROMPT}, "priority": PROMPT})
    yield post(jobs, content=f'{{"input": {{"text": "{PROMPT}'.encode(), headers={"Content-Type": "application/json"})
    hook = {"url": f"ftp://{PROMPT}@example.org", "secret": SECRET}
    yield post(jobs, json={"input": {"text": PROMPT}, "webhook": hook})
    hook = {"url": "https://example.org", "secret": SECRET[:-9] + "!" + PROMPT}
    yield post(jobs, json={"input": {"text": PROMPT}, "webhook": hook})
    yield post(jobs, json={"input": {"text": "x"}}, headers={"Authorization": f"Bearer {WRONG_KEY}"})
    yield post(jobs, json={"input": {"text": "x"}}, headers={"Idempotency-Key": PROMPT * 20})
    yield post(jobs, json={"input": {"text": "x"}}, headers={"traceparent": PROMPT, "tracestate": f"{PROMPT}={KEY};"})
    yield stack.client.get("/v1/jobs", params={"cursor": PROMPT})
    yield stack.client.get("/v1/jobs", params={"limit": PROMPT})


def crashed(stack: Stack) -> httpx.Response:
    """A request that meets a bug: a table is not there."""
    stack.sql("alter table job_webhooks rename to moved_away")
    try:
        hook = {"url": stack.hooks.answer("/x"), "secret": SECRET}
        body = {"input": {"text": PROMPT}, "webhook": hook}
        return stack.client.post("/v1/workflows/busy/jobs", json=body)
    finally:
        stack.sql("alter table moved_away rename to job_webhooks")


@pytest.fixture(scope="module")
def lines(stack: Stack, seen: Seen) -> list[dict[str, Any]]:
    """Every line that any process of the stack has written, to either stream."""
    until(lambda: "request failed" in "".join(process.log.read_text() for process in stack.processes))
    return [json.loads(line) for process in stack.processes for line in process.log.read_text().splitlines()]


def leaks(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary.lower() in text.lower()]


def test_the_run_was_as_eventful_as_it_should_be(seen: Seen) -> None:
    codes = {name: (job["error"] or {}).get("code") for name, job in seen.jobs.items()}
    assert codes == {
        "careless": "workflow_error",
        "careless-outside": "workflow_error",
        "careless-model": "workflow_error",
        "careless-input": "input_invalid",
        "unfit": "output_invalid",
        "echo-400": "provider_refused",
        "echo-401": "provider_auth",
        "echo-503": "provider_unavailable",
        "echo-html": "provider_unavailable",
        "told": None,
    }
    assert "EVALSHA" in seen.redis.upper() and "laneway:queue" in seen.redis


def test_logs_are_json_and_hold_none_of_it(lines: list[dict[str, Any]]) -> None:
    assert leaks(json.dumps(lines)) == []
    for line in lines:
        assert line.keys() <= ALLOWED | {"dropped"}
        assert "dropped" not in line, line


def test_lines_of_a_job_carry_its_ids_and_say_where_the_code_failed(seen: Seen, lines: list[dict[str, Any]]) -> None:
    for line in lines:
        assert ("job_id" in line) == ("trace_id" in line), line
    for workflow in ("careless", "careless-outside", "careless-model", "careless-input"):
        job = seen.jobs[workflow]
        (line,) = [line for line in lines if line.get("job_id") == job["id"] and line["event"] == "run failed"]
        assert line["trace_id"] == job["trace"]["trace_id"]
        assert (line["code"], line["error_class"]) == (job["error"]["code"], job["error"]["class"])
        assert "telemetry/catalogue.py:" in line["exception"]
    careless = [line for line in lines if line.get("job_id") == seen.jobs["careless"]["id"]]
    assert {line["event"] for line in careless} >= {"try failed", "run failed", "line of a library"}


def test_no_line_carries_the_ids_of_another_job(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        if line["room"] in ("bell", "recover", "heart", "strays", "worker", "loop"):
            assert "job_id" not in line, line


def test_spans_hold_none_of_it(exported: Collector, seen: Seen) -> None:
    trace_id = seen.jobs["careless"]["trace"]["trace_id"]
    until(lambda: {"server", "job", "step", "internal"} <= {span.word for span in exported.of(trace_id)})
    (inside,) = [span for span in exported.of(trace_id) if span.scope == "author"]
    (step,) = [span for span in exported.of(trace_id) if span.word == "step"]
    assert (inside.parent_id, inside.error, inside.attributes) == (step.id, "", {})
    assert [canary for canary in CANARIES if canary.encode() in exported.raw] == []


def test_metrics_hold_none_of_it(stack: Stack, seen: Seen) -> None:
    until(lambda: "laneway_jobs_ended_total{" in stack.client.get("/metrics").text)
    assert leaks(stack.client.get("/metrics").text) == []


def test_redis_is_told_none_of_it(seen: Seen) -> None:
    assert leaks(seen.redis) == []


def test_error_bodies_hold_none_of_it(seen: Seen) -> None:
    assert seen.crash is not None
    assert [answer.status_code for answer in seen.refusals] == [422, 422, 422, 400, 422, 422, 401, 400, 202, 400, 422]
    for answer in (*seen.refusals, seen.crash):
        if answer.is_error:
            assert answer.headers["content-type"] == "application/problem+json"
            assert leaks(answer.text) == [], answer.text


def test_a_bug_is_found_in_the_logs_by_the_request_id_of_the_answer(seen: Seen, lines: list[dict[str, Any]]) -> None:
    assert seen.crash is not None and seen.crash.status_code == 500
    body = seen.crash.json()
    assert seen.crash.headers["x-request-id"] == body["request_id"]
    (line,) = [line for line in lines if line["event"] == "request failed"]
    assert (line["request_id"], line["error"]) == (body["request_id"], "UndefinedTableError")


def test_the_owner_of_a_job_is_told_what_its_author_said(seen: Seen) -> None:
    error = seen.jobs["careless"]["error"]
    assert error["detail"] == f"ValueError: can't use {PROMPT}"
    assert error["step"] == "tell"


async def test_a_value_that_the_database_refuses_is_told_by_its_kind(stack: Stack) -> None:
    database = await open_database(stack.servers.database_url, 2)
    try:
        with pytest.raises(asyncpg.DataError) as caught:
            async with database.connection() as connection:
                await connection.execute("select $1::int", PROMPT)
    finally:
        await database.close()
    assert PROMPT in str(caught.value) and PROMPT not in kind_of(caught.value)


def test_keys_are_stored_only_as_digests(stack: Stack, seen: Seen) -> None:
    assert leaks(str(stack.sql("select * from api_keys"))) == []
