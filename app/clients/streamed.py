"""An answer that grows while it is heard, and the call that hears it, whatever the protocol of its events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import httpx

from app.clients.base import LimitHints, TokenUsage, WireAnswer, WireError, WireRequest
from app.clients.http import HttpAnswer, broken
from app.clients.http_stream import Bounds, post_stream
from app.clients.sse import Event, EventReader, EventTooLarge


class StreamedAnswer(ABC):
    """What has arrived so far. Each protocol reads its own events in `read`."""

    def __init__(self, max_bytes: int, on_text: Callable[[str], None]) -> None:
        self._max_bytes = max_bytes
        self._events = EventReader(max_bytes)
        self._on_text = on_text
        self._texts: list[str] = []
        self._left = max_bytes
        self.reason: str | None = None
        self.usage: TokenUsage | None = None

    @abstractmethod
    def read(self, event: Event) -> bool:
        """Take one event; whether it was the end mark. Raises WireError."""

    def take(self, chunk: bytes) -> bool:
        """Take the next bytes of the wire; whether the end mark was among them. Raises WireError."""
        try:
            return any(self.read(event) for event in self._events.feed(chunk))
        except EventTooLarge:
            raise self._too_large() from None

    def add(self, text: str) -> None:
        """The next piece of the text. Raises WireError when the whole becomes too large."""
        if not text:
            return
        self._left -= len(text.encode("utf-8", "surrogatepass"))
        if self._left < 0:
            raise self._too_large()
        self._texts.append(text)
        self._on_text(text)

    def whole(self, status: int, hints: LimitHints) -> WireAnswer:
        """The answer after its end mark. Raises WireError where it doesn't say why it ended."""
        if self.reason is None:
            raise broken("it names no reason for its end", status)
        return WireAnswer("".join(self._texts), self.reason[:64], self.final_usage, status, hints)

    @property
    def final_usage(self) -> TokenUsage | None:
        """The usage of an answer that came to its end."""
        return self.usage

    def _too_large(self) -> WireError:
        return broken(f"it is larger than {self._max_bytes} bytes", 200)


async def hear(
    http: httpx.AsyncBaseTransport,
    url: httpx.URL,
    headers: Mapping[str, str],
    body: bytes,
    call: WireRequest,
    answer: StreamedAnswer,
) -> HttpAnswer:
    """Ask, and let the answer grow to its end mark; an answer that is no 2xx comes back whole. Raises WireError."""
    bounds = Bounds(call.timeout_s, call.idle_timeout_s, call.max_answer_bytes)
    try:
        return await post_stream(http, url, headers, body, bounds, answer.take)
    except WireError as error:
        error.usage = answer.usage
        raise
