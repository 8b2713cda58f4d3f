"""Logs: JSON lines on standard output with trace and job ids; an allow-list, so no prompt or key can slip in."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

# What a log line may carry. Anything else is dropped, and its name is listed under `dropped`.
ALLOWED = frozenset({
    "event", "level", "timestamp", "room", "role", "process_id", "pid", "job_id", "trace_id", "span_id", "workflow",
    "version", "lane", "attempt", "epoch", "step", "status", "reason", "code", "error_class", "error", "count",
    "duration_ms", "delivery_id", "status_code", "method", "path", "request_id", "provider", "pool", "model", "key",
    "exception", "worker_id", "signal", "module", "url_host", "interval_s", "lanes", "port", "what",
})  # fmt: skip


def configure_logs(level: str, role: str) -> None:
    """Set up structlog for this process, and route the standard library's warnings through it."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _only_allowed,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)


def log(name: str) -> Any:
    """A logger; `name` is the room."""
    return structlog.get_logger(room=name)


class _Forward(logging.Handler):
    """Lines of libraries, at warning and above, in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        log(record.name).log(record.levelno, record.getMessage()[:500])


def _only_allowed(_: Any, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    dropped = [name for name in line if name not in ALLOWED]
    for name in dropped:
        del line[name]
    if dropped:
        line["dropped"] = dropped
    return line
