"""One bounded request whose answer is heard while it comes: whole deadline, longest silence, counted bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import httpx

from app.clients.base import WireError
from app.clients.http import HttpAnswer, as_wire_errors, broken, posted, read_body, too_late

# A token comes in a frame of some 300 bytes, so a stream has many more bytes than its answer; they are not kept.
_FRAME = 128
# After its end mark a stream is read to its end in HTTP, so that the connection can be used again.
_LINGER_S = 0.5
_LINGER_BYTES = 64 << 10
_PLAIN = ("", "identity")
_HEADERS = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of a stream: seconds in all, seconds of silence once it has begun, bytes of its answer."""

    timeout_s: float
    idle_s: float
    max_bytes: int


async def post_stream(
    http: httpx.AsyncBaseTransport,
    url: httpx.URL,
    headers: Mapping[str, str],
    body: bytes,
    bounds: Bounds,
    take: Callable[[bytes], bool],
) -> HttpAnswer:
    """POST a JSON body. `take` gets each chunk of a 2xx answer until it says that this was its end.

    Any other answer comes back whole, as from `post_json`. Raises WireError; `take` may raise it too.
    """
    hearing = _Hearing(bounds, take)
    try:
        with as_wire_errors(bounds.timeout_s):
            async with (
                asyncio.timeout(bounds.timeout_s) as deadline,
                posted(http, url, {**_HEADERS, **headers}, body, bounds.timeout_s) as response,
            ):
                if not 200 <= response.status_code < 300:
                    return HttpAnswer(
                        response.status_code, response.headers, await read_body(response, bounds.max_bytes)
                    )
                await hearing.run(response, deadline)
                return HttpAnswer(response.status_code, response.headers, b"")
    except WireError as error:
        raise hearing.told(error) from error.__cause__


class _Hearing:
    """Hears one stream to its end mark."""

    def __init__(self, bounds: Bounds, take: Callable[[bytes], bool]) -> None:
        self._bounds = bounds
        self._take = take
        self._status: int | None = None
        self._silent = False

    async def run(self, response: httpx.Response, deadline: asyncio.Timeout) -> None:
        """Raises WireError for a stream that is too large or has no end mark, TimeoutError through `deadline`."""
        self._status = response.status_code
        if response.headers.get("content-encoding", "").strip().lower() not in _PLAIN:
            raise broken("it is encoded in a way that was not asked for", self._status)
        chunks = response.aiter_raw()
        if not await self._ended(chunks, deadline):
            raise broken("its stream ends without its end mark", self._status)
        with suppress(httpx.HTTPError, aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                await _linger(chunks)

    async def _ended(self, chunks: AsyncIterator[bytes], deadline: asyncio.Timeout) -> bool:
        loop = asyncio.get_running_loop()
        left, latest = self._bounds.max_bytes * _FRAME, deadline.when() or 0.0
        async for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                raise broken(f"its stream is larger than {self._bounds.max_bytes * _FRAME} bytes", self._status)
            if self._take(chunk):
                # The answer is whole: nothing after it may make it late.
                deadline.reschedule(None)
                return True
            silent_until = loop.time() + self._bounds.idle_s
            self._silent = silent_until < latest
            deadline.reschedule(min(silent_until, latest))
        return False

    def told(self, error: WireError) -> WireError:
        """The error with what is known of the stream: its status, and that it fell silent."""
        if self._silent and error.fault.code == "provider_timeout":
            error = too_late(self._bounds.idle_s)
        if error.status is None:
            error.status = self._status
        return error


async def _linger(chunks: AsyncIterator[bytes]) -> None:
    left = _LINGER_BYTES
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            return
