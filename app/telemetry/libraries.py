"""Lines of libraries in our form: what they say by themselves, never what they were given to say it about."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from app.telemetry.place import kind_of, place_of

# Their messages are templates of their own; of any other library, and of author code, only the place is told.
_KNOWN = frozenset({
    "aiohttp", "alembic", "arq", "asyncio", "asyncpg", "fastapi", "httpx", "opentelemetry", "redis", "requests",
    "sqlalchemy", "starlette", "urllib3", "uvicorn",
})  # fmt: skip
# A collector that is away would fill the log: all of these together write one line in this many seconds.
_EXPORT = frozenset({"opentelemetry", "requests", "urllib3"})
_EXPORT_EVERY_S = 60.0
_LONGEST = 300
_TRACEBACK = "Traceback (most recent call last):"
_NEXT_IN_CHAIN = re.compile(r"\n\n(?:The above exception was|During handling of the above)[^\n]*\n\n")
# The first line that is neither a head nor indented.
_ERROR = re.compile(r"^(?!Traceback )([A-Za-z_][\w.]*)", re.MULTILINE)
_PLACE = re.compile(r'File "[^"\n]*?([^"/\n]+/[^"/\n]+)", line (\d+)')


class Libraries(logging.Handler):
    """Hands each record on to the logger that `log` gives for its name."""

    def __init__(self, log: Callable[[str], Any]) -> None:
        super().__init__()
        self._log = log
        self._quiet_until_s = 0.0
        self._kept_quiet = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write it; called under the handler's lock."""
        more: dict[str, Any] = {}
        if record.name.partition(".")[0] in _EXPORT:
            if record.created < self._quiet_until_s:
                self._kept_quiet += 1
                return
            self._quiet_until_s = record.created + _EXPORT_EVERY_S
            more["count"], self._kept_quiet = self._kept_quiet + 1, 0
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            more |= {"error": kind_of(error), "exception": place_of(error)}
        self._log(record.name).log(record.levelno, _told(record), module=f"{record.module}:{record.lineno}", **more)


def _told(record: logging.LogRecord) -> str:
    if record.name == "py.warnings":
        return _warning(record)
    if isinstance(record.msg, BaseException):
        return kind_of(record.msg)
    if record.name.partition(".")[0] not in _KNOWN:
        return "line of a library"
    if str(record.msg).startswith(_TRACEBACK):
        return _raised(str(record.msg))
    # asyncio puts the failed task, with its exception's message, on the second line.
    template = str(record.msg).strip().partition("\n")[0]
    try:
        return (template % _safe(record.args) if record.args else template)[:_LONGEST]
    except (TypeError, ValueError, KeyError):
        return template[:_LONGEST]


def _raised(text: str) -> str:
    """A traceback as text: the errors of its chain by type, the last one first, and the innermost place."""
    parts = _NEXT_IN_CHAIN.split(text)
    kinds = [match[1].rpartition(".")[2] for part in parts if (match := _ERROR.search(part))]
    places = [f"{file}:{line}" for file, line in _PLACE.findall(parts[0])]
    return " from ".join(reversed(kinds)) + (f" at {places[-1]}" if places else "")


def _safe(arguments: Any) -> Any:
    """Numbers as they are, errors by type, anything else by its type too: it may be what somebody sent."""
    if isinstance(arguments, Mapping):
        return {name: _word(value) for name, value in arguments.items()}
    return tuple(_word(value) for value in arguments)


def _word(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    return kind_of(value) if isinstance(value, BaseException) else f"({type(value).__name__})"


def _warning(record: logging.LogRecord) -> str:
    """`file:line: Category: message` without the message."""
    place, _, rest = record.getMessage().partition(": ")
    return f"{rest.partition(': ')[0] or 'Warning'} at {place}"[:_LONGEST]
