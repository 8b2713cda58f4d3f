"""Event streams: what a client is told, as `text/event-stream`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.background import BackgroundTask
from starlette.types import Send

from app.domain import canonical
from app.jobs.told import Told

# How long a client waits before it comes again.
RETRY_MS = 1000
_HEARTBEAT = format_sse_event(comment="")
# Never kept, never gathered by a proxy, never compressed on the way.
_HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
# Unescaped in JSON.
_SEPARATORS = {ord(letter): f"\\u{ord(letter):04x}" for letter in "\x85\u2028\u2029"}

Parts = AsyncGenerator[Sequence[Told], None]


class EventStream(EventSourceResponse):
    """Sends parts as they come; a part without anything is a heartbeat. `left` is called when the client left first."""

    def __init__(
        self, parts: Parts, headers: Mapping[str, str], left: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._parts = parts
        self._left = left
        self._whole = False
        super().__init__(self._chunks(), headers={**_HEADERS, **headers}, background=BackgroundTask(self._after))

    async def stream_response(self, send: Send) -> None:
        """Send, and in any case stop listening for more at once."""
        async with aclosing(self._parts):
            await super().stream_response(send)

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield format_sse_event(retry=RETRY_MS)
        async for part in self._parts:
            yield b"".join(map(_event, part)) or _HEARTBEAT
        self._whole = True

    async def _after(self) -> None:
        if self._left is not None and not self._whole:
            await self._left()


def _event(told: Told) -> bytes:
    return format_sse_event(event=told.name, data_str=_json(told.data), id=told.id)


def _json(data: Any) -> str:
    """One line, also for clients that take any line separator of Unicode for one.

    Views embed stored payloads; a delta may hold what the fast writer refuses: a lone surrogate.
    """
    try:
        text = canonical.write(data).decode()
    except TypeError:
        text = canonical.dump(data).decode()
    return text.translate(_SEPARATORS) if not text.isascii() else text
