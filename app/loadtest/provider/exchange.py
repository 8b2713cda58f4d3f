"""One HTTP request on its connection: reads the body, answers, cuts, hangs or resets."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any

from app.loadtest.provider.dialect import Headers

MAX_BODY_BYTES = 64 * 1024 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_JSON = (b"content-type", b"application/json")
_EVENT_STREAM = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class ClientGone(Exception):
    """The client closed the connection before its answer was complete."""


class BodyTooLarge(Exception):
    """The request body is larger than MAX_BODY_BYTES."""


class Exchange:
    """An ASGI request. The scope carries its transport (see `server`), so that the connection can be cut."""

    def __init__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self._scope = scope
        self._receive = receive
        self._send = send
        self._transport: asyncio.Transport = scope["transport"]

    @cached_property
    def headers(self) -> dict[bytes, bytes]:
        """The request headers by lower-case name."""
        return dict(self._scope["headers"])

    def text_header(self, name: bytes) -> str | None:
        """One request header as text."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    async def body(self) -> bytes:
        """The whole request body. Raises ClientGone, BodyTooLarge."""
        chunks, size, more = [], 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunks.append(message["body"])
            size += len(message["body"])
            more = message["more_body"]
            if size > MAX_BODY_BYTES:
                raise BodyTooLarge
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def answer(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Sends a whole JSON answer."""
        await self.start(status, headers, len(body))
        await self.send_part(body, more=False)

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        """Starts an answer: a JSON body of this length, or a stream of events where its length is None."""
        own = _EVENT_STREAM if length is None else (_JSON, (b"content-length", b"%d" % length))
        await self._send({"type": "http.response.start", "status": status, "headers": own + headers})

    async def send_part(self, data: bytes, more: bool) -> None:
        """Sends the next part of the body; `more` says whether another follows."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def close(self) -> None:
        """Closes the connection in the middle of an answer, without a reset."""
        self._transport.close()
        await self.client_leaves()

    async def reset(self) -> None:
        """Closes the connection without an answer; the client sees a TCP reset."""
        self.abort()
        await self.client_leaves()

    def abort(self) -> None:
        """Resets the connection at once."""
        if not self._transport.is_closing():
            sock: socket.socket = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()

    async def client_leaves(self) -> None:
        """Waits until the connection is closed."""
        while (await self._receive())["type"] != "http.disconnect":
            continue

    async def wait(self, seconds: float) -> None:
        """Waits so long with the client on the line. Raises ClientGone as soon as it leaves."""
        try:
            async with asyncio.timeout(seconds):
                await self.client_leaves()
        except TimeoutError:
            return
        raise ClientGone
