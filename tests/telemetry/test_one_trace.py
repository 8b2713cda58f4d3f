"""One trace from the client over HTTP, queue, worker and model to the webhook, on a real stack."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.stack import Stack, until
from tests.telemetry.collector import Collector, Span
from tests.telemetry.spans import CLIENT, SLACK_S, exported_trace, timeline, told


def trace_of(stack: Stack, exported: Collector, job: dict[str, Any]) -> list[Span]:
    """The job's whole trace, once it has come."""
    return exported_trace(exported, job, timeline(stack, job))


def one(spans: list[Span], word: str, name: str | None = None) -> Span:
    (found,) = [span for span in spans if span.word == word and name in (None, span.name)]
    return found


@pytest.fixture(scope="module")
def trace_id() -> str:
    return uuid4().hex


@pytest.fixture(scope="module")
def job(stack: Stack, trace_id: str) -> dict[str, Any]:
    stack.provider.clear_calls()
    return told(stack, "busy", f"good {trace_id}", traceparent=f"00-{trace_id}-{CLIENT}-01")


@pytest.fixture(scope="module")
def spans(stack: Stack, exported: Collector, job: dict[str, Any]) -> list[Span]:
    return trace_of(stack, exported, job)


def test_the_client_finds_his_own_trace_and_each_span_hangs_in_its_place(
    stack: Stack, job: dict[str, Any], trace_id: str, spans: list[Span]
) -> None:
    assert job["trace"]["trace_id"] == trace_id
    server, whole, attempt = one(spans, "server"), one(spans, "job"), one(spans, "attempt")
    assert (server.parent_id, whole.parent_id, attempt.parent_id) == (CLIENT, server.id, whole.id)
    steps = {span.name: span for span in spans if span.word == "step"}
    assert steps.keys() == {"step look", "step classify", "step store"}
    assert {span.parent_id for span in steps.values()} == {attempt.id}
    call, hook = one(spans, "call"), one(spans, "webhook")
    assert (call.parent_id, hook.parent_id) == (steps["step classify"].id, whole.id)
    (seen,) = stack.provider.calls()
    assert seen["traceparent"] == f"00-{trace_id}-{call.id}-01"
    assert job["hooks"][0]["traceparent"] == f"00-{trace_id}-{hook.id}-01"


def test_every_id_is_there_once_and_every_parent_is_in_the_export(spans: list[Span]) -> None:
    ids = [span.id for span in spans]
    assert len(set(ids)) == len(ids)
    assert {span.parent_id for span in spans} - set(ids) == {CLIENT}


def test_spans_lie_within_their_parents_but_a_job_outlives_its_request_and_is_told_of_after(spans: list[Span]) -> None:
    by_id = {span.id: span for span in spans}
    for span in spans:
        assert span.started_s <= span.ended_s, span
        parent = by_id.get(span.parent_id or "")
        if parent is None:
            continue
        assert parent.started_s - SLACK_S <= span.started_s, (span, parent)
        if span.word not in ("job", "webhook"):
            assert span.ended_s <= parent.ended_s + SLACK_S, (span, parent)


def test_names_makers_and_attributes(job: dict[str, Any], spans: list[Span]) -> None:
    assert [(span.word, span.name, span.kind, span.role) for span in spans if span.word not in ("step", "wait")] == [
        ("server", "POST /v1/workflows/{workflow}/jobs", "server", "serve"),
        ("job", "job busy", "internal", "work"),
        ("attempt", "attempt 1", "consumer", "work"),
        ("call", "chat small-sim", "client", "work"),
        ("webhook", "webhook job.succeeded", "client", "work"),
    ]
    for span in spans:
        assert span.error is None
        if span.word in ("job", "attempt", "step", "webhook"):
            assert span.attributes["laneway.job.id"] == job["id"]
    call, store = one(spans, "call").attributes, one(spans, "step", "step store").attributes
    assert (call["gen_ai.request.model"], call["http.response.status_code"]) == ("small-sim", 200)
    assert call["gen_ai.usage.input_tokens"] == job["usage"]["input_tokens"] > 0
    assert (store["laneway.step"], store["laneway.try"], store["laneway.status"]) == ("store", 3, "succeeded")
    assert one(spans, "server").attributes["http.response.status_code"] == 201


def test_nothing_of_the_content_is_exported(exported: Collector, trace_id: str, spans: list[Span]) -> None:
    for canary in (f"good {trace_id}", f"GOOD {trace_id}".upper(), f"good {trace_id}"[:20], "lw_live_", "whsec_"):
        assert canary.encode() not in exported.raw


@pytest.mark.parametrize(
    "header", [None, "00-zz-yy-01", "00-" + "0" * 32 + f"-{CLIENT}-01", f"00-{'a' * 32}-{CLIENT}-01-x"]
)
def test_without_a_usable_traceparent_the_request_begins_a_trace(
    stack: Stack, exported: Collector, header: str | None
) -> None:
    job = told(stack, "busy", uuid4().hex, **({"traceparent": header} if header else {}))
    spans = trace_of(stack, exported, job)
    assert one(spans, "server").parent_id is None
    assert one(spans, "job").parent_id == one(spans, "server").id
    assert header is None or job["trace"]["trace_id"] not in header


def test_a_client_that_does_not_sample_gets_a_whole_trace_all_the_same(stack: Stack, exported: Collector) -> None:
    trace_id = uuid4().hex
    spans = trace_of(stack, exported, told(stack, "busy", trace_id, traceparent=f"00-{trace_id}-{CLIENT}-00"))
    assert {span.parent_id for span in spans} - {span.id for span in spans} == {CLIENT}


def test_a_query_is_not_exported_and_probes_make_no_traces(stack: Stack, exported: Collector) -> None:
    key = uuid4().hex
    stack.client.get("/livez")
    stack.client.get("/v1/jobs", params={"metadata.note": key, "limit": 1})
    until(lambda: [span for span in exported.spans if span.name == "GET /v1/jobs"])
    assert key.encode() not in exported.raw
    assert not [span for span in exported.spans if span.name.endswith("z")]
