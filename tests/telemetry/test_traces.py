"""Places of spans in a trace, and what the export carries of them."""

from __future__ import annotations

import re
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import use_span

from app.domain.job import TraceContext
from app.settings import TelemetrySettings
from app.telemetry import names
from app.telemetry.traces import SpanRecord, Tracing, child, export_to, open_tracing, root
from tests.stack import until
from tests.telemetry.collector import collector

HEX = "0123456789abcdef"
START = datetime(2026, 1, 1, tzinfo=UTC)
ID = re.compile(r"[0-9a-f]{16}")
FORM = re.compile(r"[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*|[ \t]*)")


def text_of(length: int) -> st.SearchStrategy[str]:
    return st.text(HEX, min_size=length, max_size=length)


headers = st.builds(
    "{}-{}-{}-{}".format,
    text_of(2) | st.just("00"),
    text_of(32) | st.just("0" * 32),
    text_of(16) | st.just("0" * 16),
    text_of(2),
)


@st.composite
def bent_headers(draw: st.DrawFn) -> str:
    """A header with a piece cut out, put in or replaced."""
    text = draw(headers)
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 3)))
    return text[:start] + draw(st.text("0fgF- \té\x00", max_size=3)) + text[end:]


def expected(header: str) -> tuple[str, str] | None:
    """W3C Trace Context, Level 1: trace and parent id of a header that may be used."""
    match = FORM.fullmatch(header)
    if match is None or match[1] == "ff" or (match[1] == "00" and match[4].startswith("-")):
        return None
    return (match[2], match[3]) if match[2].strip("0") and match[3].strip("0") else None


@settings(deadline=None)
@given(headers | bent_headers() | st.text(max_size=80))
def test_a_job_hangs_below_a_well_formed_traceparent_and_begins_a_trace_otherwise(header: str) -> None:
    place, wanted = root(header), expected(header)
    assert ID.fullmatch(place.span_id) and place.span_id.strip("0")
    if wanted:
        assert (place.trace_id, place.parent_span_id) == wanted
    else:
        assert re.fullmatch(r"[0-9a-f]{32}", place.trace_id) and place.trace_id.strip("0")
        assert place.trace_id not in header and place.parent_span_id is None


def test_without_a_header_each_job_has_a_trace_of_its_own() -> None:
    assert len({root(None).trace_id for _ in range(100)}) == 100
    assert root("x" * 100_000).parent_span_id is None


@settings(deadline=None)
@given(text_of(32).filter(lambda t: t.strip("0")), text_of(16).filter(lambda t: t.strip("0")))
def test_a_child_and_another_service_hang_below_the_same_span(trace_id: str, span_id: str) -> None:
    parent = TraceContext(trace_id, span_id, "00f067aa0ba902b7")
    below = child(parent)
    assert (below.trace_id, below.parent_span_id) == (trace_id, span_id)
    assert below.span_id != span_id and ID.fullmatch(below.span_id)
    elsewhere = root(parent.traceparent)
    assert (elsewhere.trace_id, elsewhere.parent_span_id) == (trace_id, span_id)


def test_the_running_http_span_comes_before_the_header() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("http")
    with use_span(tracer.start_span("POST"), end_on_exit=True) as span:
        place = root("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    assert place.parent_span_id == f"{span.get_span_context().span_id:016x}"
    assert place.trace_id == f"{span.get_span_context().trace_id:032x}"


def record(**more: str) -> SpanRecord:
    place = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "b7ad6b7169203331")
    return SpanRecord("step", "classify", place, START, START + timedelta(microseconds=1_234_567), more, "bad")


def test_an_exported_span_is_what_was_recorded_and_carries_only_what_is_allowed() -> None:
    exporter = InMemorySpanExporter()
    processor = BatchSpanProcessor(exporter)
    tracing = Tracing(processor, Resource.create({}))
    tracing.emit(record(**{names.STEP: "classify", "prompt": "canary", "gen_ai.input.messages": "canary"}))
    processor.force_flush()
    (span,) = exporter.get_finished_spans()
    tracing.close()
    assert span.context is not None and span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}") == (
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "00f067aa0ba902b7",
    )
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert (span.name, span.status.description) == ("step classify", "bad")
    assert dict(span.attributes or {}) == {"laneway.kind": "step", "laneway.step": "classify"}
    assert span.start_time is not None and span.end_time is not None
    assert (span.start_time, span.end_time - span.start_time) == (int(START.timestamp()) * 10**9, 1_234_567_000)


def test_without_an_endpoint_nothing_is_exported() -> None:
    tracing = open_tracing(TelemetrySettings(), "test")
    tracing.emit(record())
    tracing.close()
    assert not tracing.exporting


def test_closing_sends_what_is_left() -> None:
    with collector() as found:
        tracing = exporting_to(found.url)
        for _ in range(700):
            tracing.emit(record())
        tracing.close()
        assert len(found.spans) == 700


def test_a_collector_that_never_answers_slows_nothing_and_holds_the_end_for_two_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tracing = exporting_to(f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        for _ in range(10_000):
            tracing.emit(record())
        emitted = time.monotonic()
        tracing.close()
        closed = time.monotonic()
    until(lambda: "OtelBatchSpanRecordProcessor" not in {thread.name for thread in threading.enumerate()})
    assert emitted - began < 3
    assert 1 < closed - emitted < 4


def exporting_to(url: str) -> Tracing:
    return Tracing(export_to(url), Resource.create({"laneway.role": "test"}))
