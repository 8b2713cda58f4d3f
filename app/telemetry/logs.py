"""Logs: JSON lines on standard output with trace and job ids; an allow-list, so no prompt or key can slip in."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import structlog

from app.telemetry.libraries import Libraries
from app.telemetry.place import kind_of, place_of, root_of

# What a log line may carry. Anything else is dropped, and its name is listed under `dropped`.
ALLOWED = frozenset({
    "event", "level", "timestamp", "room", "role", "process_id", "pid", "job_id", "trace_id", "span_id", "workflow",
    "version", "lane", "attempt", "epoch", "step", "status", "reason", "code", "error_class", "error", "count",
    "duration_ms", "delivery_id", "status_code", "method", "path", "request_id", "provider", "pool", "model", "key",
    "exception", "worker_id", "signal", "module", "url_host", "interval_s", "lanes", "port", "what",
})  # fmt: skip


class Lines:
    """Writes lines to a stream. A full disk or a reader that left must cost a line, never a job."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write and flush."""
        with suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = info = warning = error = critical = msg


def configure_logs(level: str, role: str, stream: TextIO | None = None) -> None:
    """Set up structlog for this process, and route what libraries log and warn through it."""

    def add_role(_: Any, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        line["role"] = role
        return line

    lines = Lines(stream or sys.stdout)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_role,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _shape_error,
            _only_allowed,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[Libraries(lambda name: log(name))], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    sys.excepthook = lambda _, error, __: _last_words(error)
    threading.excepthook = lambda given: _last_words(given.exc_value)


def log(name: str) -> Any:
    """A logger; `name` is the room."""
    return structlog.get_logger(room=name)


@contextmanager
def about(**ids: str) -> Iterator[None]:
    """Every line written inside, and by tasks and threads started inside, carries these ids."""
    tokens = structlog.contextvars.bind_contextvars(**ids)
    try:
        yield
    finally:
        structlog.contextvars.reset_contextvars(**tokens)


def _last_words(error: BaseException | None) -> None:
    """An error that nobody caught ends its thread, or the process."""
    if isinstance(error, Exception):
        log("process").critical("not caught", what=kind_of(error), error=kind_of(root_of(error)), exc_info=error)


def _shape_error(_: Any, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """An exception is told by type and place."""
    given = line.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if error is not None:
        line.setdefault("error", kind_of(error))
        line["exception"] = place_of(error)
    return line


def _only_allowed(_: Any, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    dropped = [name for name in line if name not in ALLOWED]
    for name in dropped:
        del line[name]
    if dropped:
        line["dropped"] = dropped
    return line
