"""What tests of traces share: submit with a webhook, the stored timeline, and the same spans as they were exported."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias
from uuid import uuid4

from app.telemetry.names import exported_name
from tests.stack import Stack, until
from tests.telemetry.collector import Collector, Span

CLIENT = "00f067aa0ba902b7"
SLACK_S = 0.02
Stored: TypeAlias = dict[str, Any]


def told(stack: Stack, workflow: str, text: str, *answers: dict[str, Any], **headers: str) -> dict[str, Any]:
    """A job that ended, and whose webhook was delivered; `hooks` are the headers of each attempt to deliver."""
    path = f"/{uuid4().hex}"
    body = {"input": {"text": text}, "webhook": {"url": stack.hooks.answer(path, *answers)}}
    response = stack.client.post(f"/v1/workflows/{workflow}/jobs", json=body, headers={"Prefer": "wait=20", **headers})
    assert response.status_code == 201, response.text
    until(lambda: stack.job(response.json()["id"])["webhook_delivery"] == "succeeded")
    return {**response.json(), "hooks": [arrival["headers"] for arrival in stack.hooks.received(path)]}


def timeline(stack: Stack, job: dict[str, Any]) -> list[Stored]:
    """The stored spans of a job."""
    trace = stack.client.get(f"/v1/jobs/{job['id']}/trace").raise_for_status().json()
    assert trace["trace_id"] == job["trace"]["trace_id"]
    return list(trace["spans"])


def exported_trace(exported: Collector, job: dict[str, Any], stored: list[Stored]) -> list[Span]:
    """The job's whole trace with the request that submitted it, once all that is stored has come."""
    trace_id, ids = job["trace"]["trace_id"], {span["id"] for span in stored}
    until(lambda: {span.id for span in exported.of(trace_id)} > ids)
    return exported.of(trace_id)


def agree(exported: Collector, job: dict[str, Any], stored: list[Stored]) -> None:
    """The same ids, parents, kinds and names were exported, each once, and nothing else but the request's span."""
    ours = [(span["id"], span["parent_id"], span["kind"], exported_name(span["kind"], span["name"])) for span in stored]
    spans = exported_trace(exported, job, stored)
    theirs = [(span.id, span.parent_id, span.word, span.name) for span in spans if span.word != "server"]
    assert sorted(ours, key=str) == sorted(theirs, key=str)
    assert len({span[0] for span in ours}) == len(ours)


def nested(stored: list[Stored]) -> None:
    """Every span has its parent there and lies within it; a webhook comes after the job that it tells of."""
    by_id = {span["id"]: span for span in stored}
    for span in stored:
        start, end = moment(span["started_at"]), moment(span["ended_at"])
        assert start <= end, span
        if span["kind"] == "job":
            continue
        parent = by_id[span["parent_id"]]
        assert start >= moment(parent["started_at"]) - SLACK_S, (span, parent)
        assert span["kind"] == "webhook" or end <= moment(parent["ended_at"]) + SLACK_S, (span, parent)


def moment(text: str) -> float:
    """RFC 3339 as seconds."""
    return datetime.fromisoformat(text).timestamp()


def seconds(span: Stored) -> float:
    """How long it took."""
    return moment(span["ended_at"]) - moment(span["started_at"])


def named(stored: list[Stored], kind: str) -> dict[str, Stored]:
    """Those of a kind by name, each name once."""
    found = [span for span in stored if span["kind"] == kind]
    by_name = {span["name"]: span for span in found}
    assert len(by_name) == len(found)
    return by_name
