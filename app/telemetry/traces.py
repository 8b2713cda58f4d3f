"""Spans: written when they end, with ids we chose, so that one trace crosses processes and the store knows its ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from app import __version__
from app.domain import ids
from app.domain.job import TraceContext
from app.settings import TelemetrySettings

_KINDS = {
    "internal": SpanKind.INTERNAL,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
}
_SCOPE = InstrumentationScope("laneway", __version__)


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """One ended span. `kind` is internal, consumer, client or producer; `error` a short code, never a prompt."""

    name: str
    trace: TraceContext
    started_at: datetime
    ended_at: datetime
    kind: str = "internal"
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    error: str | None = None


class Tracing:
    """Exports spans over OTLP when an endpoint is configured; otherwise does nothing."""

    def __init__(self, processor: BatchSpanProcessor | None, resource: Resource) -> None:
        self._processor = processor
        self._resource = resource

    def emit(self, record: SpanRecord) -> None:
        """Hand an ended span to the exporter; never raises, never blocks."""
        if self._processor is None:
            return
        parent = record.trace.parent_span_id
        span = ReadableSpan(
            name=record.name,
            context=_context(record.trace.trace_id, record.trace.span_id),
            parent=_context(record.trace.trace_id, parent) if parent else None,
            resource=self._resource,
            attributes=dict(record.attributes),
            kind=_KINDS[record.kind],
            status=Status(StatusCode.ERROR, record.error) if record.error else Status(StatusCode.UNSET),
            start_time=_nanos(record.started_at),
            end_time=_nanos(record.ended_at),
            instrumentation_scope=_SCOPE,
        )
        self._processor.on_end(span)

    def close(self) -> None:
        """Send what is left."""
        if self._processor is not None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]


def open_tracing(settings: TelemetrySettings, role: str) -> Tracing:
    """Tracing for this process; `role` is serve, work or up. Sets the global provider for FastAPI's own spans."""
    resource = Resource.create({"service.name": settings.service_name, "laneway.role": role})
    if settings.otlp_endpoint is None:
        return Tracing(None, resource)
    processor = BatchSpanProcessor(OTLPSpanExporter(f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return Tracing(processor, resource)


@contextmanager
def within(context: TraceContext) -> Iterator[None]:
    """Spans that other code starts inside become children of `context`."""
    with trace.use_span(NonRecordingSpan(_context(context.trace_id, context.span_id))):
        yield


def child(context: TraceContext) -> TraceContext:
    """A new span's place below `context`."""
    return TraceContext(context.trace_id, ids.span_id(), context.span_id)


def root(traceparent: str | None) -> TraceContext:
    """Where a new job's span hangs: below the running HTTP span, else below a valid `traceparent`, else a new trace."""
    current = trace.get_current_span().get_span_context()
    if current.is_valid:
        return TraceContext(f"{current.trace_id:032x}", ids.span_id(), f"{current.span_id:016x}")
    parsed = _parse(traceparent) if traceparent else None
    if parsed:
        return TraceContext(parsed[0], ids.span_id(), parsed[1])
    return TraceContext(ids.trace_id(), ids.span_id())


def _parse(traceparent: str) -> tuple[str, str] | None:
    """Trace and span id of a header (W3C Trace Context, version 00); None when it is malformed."""
    parts = traceparent.strip().split("-")
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, 32, 16, 2] or parts[0] == "ff":
        return None
    hexadecimal = all(set(part) <= set("0123456789abcdef") for part in parts[:4])
    empty = not parts[1].strip("0") or not parts[2].strip("0")
    return (parts[1], parts[2]) if hexadecimal and not empty else None


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanos(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
