"""The body of a webhook: whole up to 20 kB, thin above, and never an error for odd text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from app.domain import ids
from app.domain.event import EventType
from app.jobs.body import MAX_BODY_BYTES, render_body
from app.store.announce import EventRow

EVENT = EventRow(ids.uuid7(), EventType.JOB_SUCCEEDED, datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC), 4, "812-77")


def view(output: bytes, **more: Any) -> dict[str, Any]:
    path = "/v1/jobs/job_1"
    return {
        "id": "job_1", "object": "job", "workflow": "echo", "version": "1", "status": "succeeded", "terminal": True,
        "reason": None, "revision": 4, "error": None, "input": orjson.Fragment(b'{"text":"hello"}'),
        "output": orjson.Fragment(output), "tags": [], "urls": {"self": path, "output": f"{path}/output", "trace": "t"},
        **more,
    }  # fmt: skip


def test_small_job_is_told_whole() -> None:
    body = json.loads(render_body(EVENT, view(b'{"b":1,"a":[1.5,null]}')))
    assert set(body) == {"type", "timestamp", "data", "sequence", "revision", "feed_cursor"}
    assert (body["type"], body["timestamp"]) == ("job.succeeded", "2026-01-02T03:04:05.678000Z")
    assert (body["sequence"], body["revision"], body["feed_cursor"]) == (4, 4, "812-77")
    assert body["data"]["output"] == {"a": [1.5, None], "b": 1}
    assert body["data"]["input"] == {"text": "hello"}


def test_same_words_give_the_same_bytes() -> None:
    shuffled = dict(reversed(view(b"{}").items()))
    assert render_body(EVENT, view(b"{}")) == render_body(EVENT, shuffled)


def test_large_job_is_told_thin_with_the_way_to_the_whole() -> None:
    body = render_body(EVENT, view(json.dumps("x" * MAX_BODY_BYTES).encode()))
    assert len(body) < 1000
    data = json.loads(body)["data"]
    assert set(data) == {
        "id", "object", "workflow", "version", "status", "terminal", "reason", "revision", "error", "thin", "urls",
    }  # fmt: skip
    assert data["thin"] is True
    assert data["urls"] == {"self": "/v1/jobs/job_1", "output": "/v1/jobs/job_1/output"}


def test_the_border_is_20_kB() -> None:
    room = MAX_BODY_BYTES - len(render_body(EVENT, view(b'""')))
    whole, thin = (render_body(EVENT, view(json.dumps("x" * (room + more)).encode())) for more in (0, 1))
    assert len(whole) == MAX_BODY_BYTES
    assert json.loads(thin)["data"]["thin"] is True


@pytest.mark.parametrize("text", ["\0", "\ud800", "\N{SNOWMAN}", "\U0001f600"])
def test_odd_text_passes(text: str) -> None:
    stored = json.dumps({"text": text}).encode()
    assert json.loads(render_body(EVENT, view(stored)))["data"]["output"] == {"text": text}
    body = json.loads(render_body(EVENT, view(stored, metadata={"note": text})))
    assert (body["data"]["metadata"], body["data"]["output"]) == ({"note": text}, {"text": text})
