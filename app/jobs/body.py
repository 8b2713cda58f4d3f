"""The body of a webhook: rendered once, stored, sent byte for byte the same on every attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from app.domain import canonical
from app.jobs.view import thin_view, time_view
from app.store.announce import EventRow

# Above this many bytes the job is told without its payloads.
MAX_BODY_BYTES = 20_000
_MAX_DEPTH = 1000


def render_body(event: EventRow, job_view: Mapping[str, Any]) -> bytes:
    """Canonical JSON `{type, timestamp, data, sequence, revision, feed_cursor}`; `data` is the job as GET shows it.

    Above MAX_BODY_BYTES `data` is thin: state and error, and where the output and the whole job can be read.
    """
    whole = _dump(_message(event, job_view, job_view["revision"]))
    return whole if len(whole) <= MAX_BODY_BYTES else _dump(_message(event, thin_view(job_view), job_view["revision"]))


def _message(event: EventRow, data: Mapping[str, Any], revision: int) -> dict[str, Any]:
    return {
        "type": event.type,
        "timestamp": time_view(event.at),
        "data": data,
        "sequence": event.sequence,
        "revision": revision,
        "feed_cursor": event.cursor,
    }


def _dump(message: dict[str, Any]) -> bytes:
    """A text that the fast writer refuses (a lone surrogate) must not break the transaction that tells of it."""
    try:
        return orjson.dumps(message, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return canonical.dump(_unwrapped(message))


def _unwrapped(value: Any) -> Any:
    """Plain JSON: stored payloads, which views embed as bytes, are parsed."""
    if isinstance(value, orjson.Fragment):
        return canonical.load(orjson.dumps(value), max_depth=_MAX_DEPTH)
    if isinstance(value, Mapping):
        return {key: _unwrapped(item) for key, item in value.items()}
    return [_unwrapped(item) for item in value] if isinstance(value, list | tuple) else value
