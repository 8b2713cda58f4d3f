"""A light HTTP load generator: prebuilt requests over kept connections, so that it costs less than what it measures."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """What one run saw: requests, seconds in all, each request's seconds, answers by status."""

    requests: int
    seconds: float
    latencies_s: list[float]
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    def ms(self, share: float) -> float:
        """Milliseconds within which that share of the requests was answered."""
        return quantile(self.latencies_s, share) * 1000


def quantile(values: list[float], share: float) -> float:
    """The value that this share of them does not pass."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def post(path: str, body: bytes, key: str, *headers: str) -> bytes:
    """A request as bytes."""
    lines = [
        f"POST {path} HTTP/1.1", "Host: bench", f"Authorization: Bearer {key}", "Content-Type: application/json",
        f"Content-Length: {len(body)}", *headers, "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + body


def get(path: str, key: str, *headers: str) -> bytes:
    """A request without a body, as bytes."""
    lines = [f"GET {path} HTTP/1.1", "Host: bench", f"Authorization: Bearer {key}", *headers, "", ""]
    return "\r\n".join(lines).encode()


async def run(host: str, port: int, request: bytes, *, total: int, connections: int) -> Load:
    """Send `request` so many times over so many connections, each waiting for its answer."""
    left, latencies, statuses = iter(range(total)), [], {}  # type: ignore[var-annotated]

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for _ in left:
            began = time.perf_counter()
            writer.write(request)
            status = _status((await _answer(reader))[0])
            latencies.append(time.perf_counter() - began)
            statuses[status] = statuses.get(status, 0) + 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return Load(len(latencies), time.perf_counter() - began, latencies, statuses)


async def once(host: str, port: int, request: bytes) -> tuple[bytes, bytes]:
    """Send a request on a connection of its own; head and body of the answer."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    try:
        return await _answer(reader)
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    if _status(head) == 304:
        return head, b""
    lower = head.lower()
    at = lower.index(b"content-length:") + 15
    return head, await reader.readexactly(int(lower[at : lower.index(b"\r\n", at)]))


def _status(head: bytes) -> int:
    return int(head[9:12])
