"""A TCP server that answers with given bytes: for what no honest provider sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

Chunks = Callable[[], Iterable[bytes]]


@dataclass(slots=True)
class RawServer:
    """A listening server; `requests` are the requests as received, `sent` the bytes written so far."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    sent: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


def http_answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """A whole HTTP answer that closes its connection; header names use _ for -."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def body_of(request: bytes) -> Any:
    """The JSON body of a received request."""
    return orjson.loads(request.split(b"\r\n\r\n", 1)[1])


@asynccontextmanager
async def answering(answer: bytes | Chunks) -> AsyncIterator[RawServer]:
    """Answers every request with these bytes, then closes the connection."""
    state = RawServer(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            state.requests.append(await _request(reader))
            for chunk in [answer] if isinstance(answer, bytes) else answer():
                writer.write(chunk)
                await writer.drain()
                state.sent += len(chunk)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    async with server:
        yield state


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    return head + await reader.readexactly(length)
