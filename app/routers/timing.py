"""`Server-Timing` on every answer, and the counts of requests: one thin layer around the application."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request
from starlette.types import Receive, Scope, Send

from app.domain.clock import SYSTEM_CLOCK
from app.domain.job import Job
from app.routers.layer import Fields, Head, Layer
from app.telemetry.metrics import Metrics

Found = TypeVar("Found")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"
_UNMATCHED = "unmatched"


class Timing:
    """Seconds of the parts of one request, by name; what is not named is ours."""

    __slots__ = ("began", "parts")

    def __init__(self) -> None:
        self.began = SYSTEM_CLOCK.monotonic()
        self.parts: dict[str, float] = {}

    def add(self, name: str, seconds: float) -> None:
        """So much more."""
        self.parts[name] = self.parts.get(name, 0.0) + seconds

    def header(self, total_s: float) -> bytes:
        """As browsers read it, in milliseconds."""
        parts = [f"{name};dur={seconds * 1000:.1f}" for name, seconds in self.parts.items()]
        return ", ".join([*parts, f"total;dur={total_s * 1000:.1f}"]).encode()


async def timed(request: Request, name: str, act: Awaitable[Found]) -> Found:
    """What `act` gives; its time is a part of the request's."""
    began = SYSTEM_CLOCK.monotonic()
    try:
        return await act
    finally:
        timing_of(request).add(name, SYSTEM_CLOCK.monotonic() - began)


def timing_of(request: Request) -> Timing:
    """The request's."""
    found: Timing = request.scope["state"]["timing"]
    return found


def time_job(request: Request, job: Job | None) -> None:
    """Of a job that was waited for: how long it was queued, and how long it ran."""
    if job is not None and job.started_at and job.ended_at:
        timing_of(request).add("queue", (job.started_at - job.created_at).total_seconds())
        timing_of(request).add("run", (job.ended_at - job.started_at).total_seconds())


class Timed(Layer):
    """Measures up to the head of the answer; the wait that a client asked for is not counted as ours."""

    def begin(self, scope: Scope) -> Head:
        timing = scope["state"]["timing"] = Timing()

        def head(status: int) -> Fields:
            total_s = SYSTEM_CLOCK.monotonic() - timing.began
            _count(scope, status, total_s - timing.parts.get("wait", 0.0))
            return [(b"server-timing", timing.header(total_s))]

        return head

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except Exception:
            # Answered further out.
            if scope["type"] == "http":
                timing: Timing = scope["state"]["timing"]
                _count(scope, 500, SYSTEM_CLOCK.monotonic() - timing.began)
            raise


def _count(scope: Scope, status: int, seconds: float) -> None:
    metrics: Metrics = scope["app"].state.runtime.metrics
    route, method = getattr(scope.get("route"), "path", _UNMATCHED), scope["method"]
    metrics.answered(route, method if method in _METHODS else _OTHER, status, seconds)
