"""Spans: written when they end, with ids we chose, so that one trace crosses processes and the store knows its ids."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from app import __version__
from app.domain import ids
from app.domain.job import TraceContext
from app.settings import TelemetrySettings
from app.telemetry.names import EXPORTED, KIND, exported_name

_KINDS = {"attempt": SpanKind.CONSUMER, "call": SpanKind.CLIENT, "webhook": SpanKind.CLIENT}
_SCOPE = InstrumentationScope("laneway", __version__)
_W3C = TraceContextTextMapPropagator()
# One export, with its repeats, takes this long at most; then its spans are lost.
_EXPORT_S = 5.0
# A process that ends waits this long for its last spans.
_CLOSE_S = 2.0


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """One ended span. `kind` is job, attempt, step, call, wait or webhook; `error` a short code, never a prompt."""

    kind: str
    name: str
    trace: TraceContext
    started_at: datetime
    ended_at: datetime
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    error: str | None = None


class Tracing:
    """Exports spans over OTLP when an endpoint is configured; otherwise does nothing."""

    def __init__(self, processor: BatchSpanProcessor | None, resource: Resource) -> None:
        self._processor = processor
        self._resource = resource

    @property
    def exporting(self) -> bool:
        """Whether spans go anywhere."""
        return self._processor is not None

    def emit(self, record: SpanRecord) -> None:
        """Hand an ended span to the exporter; never raises, never blocks. What does not fit its queue is lost."""
        if self._processor is None:
            return
        parent = record.trace.parent_span_id
        span = ReadableSpan(
            name=exported_name(record.kind, record.name),
            context=_context(record.trace.trace_id, record.trace.span_id),
            parent=_context(record.trace.trace_id, parent) if parent else None,
            resource=self._resource,
            attributes=_allowed({**record.attributes, KIND: record.kind}),
            kind=_KINDS.get(record.kind, SpanKind.INTERNAL),
            status=Status(StatusCode.ERROR, record.error) if record.error else Status(StatusCode.UNSET),
            start_time=_nanos(record.started_at),
            end_time=_nanos(record.ended_at),
            instrumentation_scope=_SCOPE,
        )
        self._processor.on_end(span)

    def close(self) -> None:
        """Send what is left, for two seconds at most."""
        if self._processor is not None:
            # The processor itself would wait half a minute for a collector that is away.
            last = threading.Thread(target=self._processor.shutdown, daemon=True)
            last.start()
            last.join(_CLOSE_S)
            if last.is_alive():
                self._processor.span_exporter.shutdown()


class _Bare(SpanProcessor):
    """Hands on spans of other makers, FastAPI's first of all, without anything that our allow-list does not name."""

    def __init__(self, inner: BatchSpanProcessor) -> None:
        self._inner = inner

    def on_end(self, span: ReadableSpan) -> None:
        self._inner.on_end(_bare(span))


def open_tracing(settings: TelemetrySettings, role: str) -> Tracing:
    """Tracing for this process; `role` is serve, work or up. Sets the global provider for FastAPI's own spans.

    Every trace is exported, whatever the client's `traceparent` says of sampling: a collector may choose among whole
    traces, and a span whose parent was left out can't be placed.
    """
    resource = Resource.create({"service.name": settings.service_name, "laneway.role": role})
    if settings.otlp_endpoint is None:
        return Tracing(None, resource)
    processor = export_to(settings.otlp_endpoint)
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(_Bare(processor))
    trace.set_tracer_provider(provider)
    return Tracing(processor, resource)


def export_to(endpoint: str) -> BatchSpanProcessor:
    """A queue of spans, and the thread that sends them to the collector at this base URL."""
    return BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_S))


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
    parent = trace.get_current_span().get_span_context()
    if not parent.is_valid and traceparent:
        parent = trace.get_current_span(_W3C.extract({"traceparent": traceparent}, Context())).get_span_context()
    if not parent.is_valid:
        return TraceContext(ids.trace_id(), ids.span_id())
    return TraceContext(f"{parent.trace_id:032x}", ids.span_id(), f"{parent.span_id:016x}")


def _bare(span: ReadableSpan) -> ReadableSpan:
    """The span with what the allow-list names; no events and no status text, which tell exceptions' messages."""
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_allowed(span.attributes or {}),
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _allowed(attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    return {name: value for name, value in attributes.items() if name in EXPORTED}


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanos(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
