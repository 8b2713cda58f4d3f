"""A provider whose headers are not true: it takes less than it announces."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson

_ANSWER = orjson.dumps(
    {
        "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1},
    }
)
_REFUSAL = orjson.dumps({"error": {"message": "slow down", "type": "x", "code": "rate_limit_exceeded"}})
_LIES = (
    b"x-ratelimit-limit-requests: 600000\r\nx-ratelimit-remaining-requests: 599999\r\n"
    b"x-ratelimit-reset-requests: 1ms\r\n"
)


@dataclass(slots=True)
class Liar:
    """Takes `per_s` requests a second, a second's worth at once; says that it takes ten thousand."""

    per_s: float
    url: str = ""
    statuses: list[int] = field(default_factory=list)
    _level: float = 0.0
    _at_s: float = field(default_factory=time.monotonic)

    def _takes(self) -> bool:
        now_s = time.monotonic()
        self._level = min(max(1.0, self.per_s), self._level + (now_s - self._at_s) * self.per_s)
        self._at_s = now_s
        if self._level < 1:
            return False
        self._level -= 1
        return True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.split(b":")[1]))
                fine = self._takes()
                self.statuses.append(200 if fine else 429)
                status, body = (b"200 OK", _ANSWER) if fine else (b"429 Too Many", _REFUSAL)
                told = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
                writer.write(b"HTTP/1.1 " + status + b"\r\n" + _LIES + told + b"\r\n" + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def lying(per_s: float) -> AsyncIterator[Liar]:
    """One on a free port."""
    liar = Liar(per_s)
    server = await asyncio.start_server(liar.serve, "127.0.0.1", 0)
    liar.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield liar
    finally:
        server.close()
