"""Server-sent events as they come off the wire, in chunks that end anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name, empty where it has none, and its data, several lines joined by a line feed."""

    name: str
    data: bytes


class EventTooLarge(Exception):
    """An event has more bytes than allowed."""


class EventReader:
    """Puts events together. Holds at most `max_bytes` and one chunk, whatever is sent."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._after_cr = False
        self._begun = False
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that this chunk completes; an event without its empty line is not one. Raises EventTooLarge."""
        if not chunk:
            return
        self._buffer += chunk.removeprefix(b"\n") if self._after_cr else chunk
        self._after_cr = chunk.endswith(b"\r")
        for line in self._lines():
            if line:
                self._take(line)
            elif (event := self._closed()) is not None:
                yield event
        if len(self._buffer) + self._size > self._max_bytes:
            raise EventTooLarge

    def _lines(self) -> Iterator[bytes]:
        start = 0
        while found := _LINE_END.search(self._buffer, max(start, self._searched)):
            line, start = bytes(self._buffer[start : found.start()]), found.end()
            yield line if self._begun else line.removeprefix(_BYTE_ORDER_MARK)
            self._begun = True
        del self._buffer[:start]
        self._searched = len(self._buffer)

    def _take(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value)
            if self._size > self._max_bytes:
                raise EventTooLarge
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")

    def _closed(self) -> Event | None:
        event = Event(self._name, b"\n".join(self._data)) if self._data else None
        self._name, self._data, self._size = "", [], 0
        return event
