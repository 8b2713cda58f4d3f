"""A small OpenTelemetry collector (OTLP over HTTP, protobuf): `with collector() as spans` keeps what was exported."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass(frozen=True, slots=True)
class Span:
    """One exported span; ids in hexadecimal, times in seconds, `role` and `scope` say who made it."""

    trace_id: str
    id: str
    parent_id: str | None
    name: str
    kind: str
    started_s: float
    ended_s: float
    attributes: dict[str, Any]
    error: str | None
    role: str
    scope: str

    @property
    def word(self) -> str:
        """What it is: `server` for HTTP, else job, attempt, step, call, wait or webhook."""
        return str(self.attributes.get("laneway.kind", self.kind))


class Collector:
    """What came so far."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.spans: list[Span] = []
        self.raw = b""

    def take(self, body: bytes) -> None:
        """One export."""
        self.raw += body
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {pair.key: _value(pair.value) for pair in group.resource.attributes}
            for scoped in group.scope_spans:
                found = [_span(span, str(resource["laneway.role"]), scoped.scope.name) for span in scoped.spans]
                self.spans += found

    def of(self, trace_id: str) -> list[Span]:
        """One trace, in order of start."""
        return sorted((span for span in list(self.spans) if span.trace_id == trace_id), key=lambda s: s.started_s)

    def of_job(self, job_id: str) -> list[Span]:
        """The spans that name a job."""
        return [span for span in list(self.spans) if span.attributes.get("laneway.job.id") == job_id]


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector on a free port, until the end of the block."""
    lock = threading.Lock()

    class Exports(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            with lock:
                made.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Exports) as server:
        server.daemon_threads = True
        made = Collector(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


def _span(span: trace_pb2.Span, role: str, scope: str) -> Span:
    failed = span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    attributes = {pair.key: _value(pair.value) for pair in span.attributes}
    assert not span.events, "events tell exceptions with their messages"
    return Span(
        trace_id=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        started_s=span.start_time_unix_nano / 1e9,
        ended_s=span.end_time_unix_nano / 1e9,
        attributes=attributes,
        error=span.status.message if failed else None,
        role=role,
        scope=scope,
    )


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None
