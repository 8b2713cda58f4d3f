"""The shared HTTP pool, and one bounded request over it: whole deadline, counted bytes, no redirects."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from app import __version__
from app.clients.base import WireError
from app.domain.errors import TransientError

# Below the 5 s after which common servers close an idle connection, so that a request never meets that close.
KEEPALIVE_S = 4.0
_CONNECT_S = 10.0
# No connection came to be.
_UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, httpx.PoolTimeout)
# An error's body is read only this far.
_ERROR_BYTES = 64 << 10
_ENCODING = "iso-8859-1"
_HEADERS = {
    "User-Agent": f"laneway/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Content-Type": "application/json",
}
_PLAIN = ("", "identity")
_ZIPPED = ("gzip", "x-gzip", "deflate")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer; `body` is decoded, and cut off for an error status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def open_http(max_connections: int = 2000, keepalive_s: float = KEEPALIVE_S) -> httpx.AsyncBaseTransport:
    """The pool of this process: make `max_connections` at least the calls that may be in flight, and close it.

    It is httpx's transport without its client: cookies, redirects, auth and merged defaults cost more than the request
    itself, and are of no use here. Takes no proxy from the environment, follows no redirect, keeps no cookie.
    """
    context = httpx.create_ssl_context(trust_env=False)

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=max_connections, keepalive_timeout=keepalive_s, ssl=context)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)

    return AiohttpTransport(verify=context, trust_env=False, client=session)


async def post_json(
    http: httpx.AsyncBaseTransport,
    url: httpx.URL,
    headers: Mapping[str, str],
    body: bytes,
    timeout_s: float,
    max_bytes: int,
) -> HttpAnswer:
    """POST a JSON body and read the answer, all within `timeout_s` and `max_bytes` decoded. Raises WireError."""
    with as_wire_errors(timeout_s):
        async with asyncio.timeout(timeout_s), posted(http, url, headers, body, timeout_s) as response:
            return HttpAnswer(response.status_code, response.headers, await read_body(response, max_bytes))


@asynccontextmanager
async def posted(
    http: httpx.AsyncBaseTransport, url: httpx.URL, headers: Mapping[str, str], body: bytes, timeout_s: float
) -> AsyncIterator[httpx.Response]:
    """The answer to a POST of a JSON body, its own body not read yet."""
    limits = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)).as_dict()
    request = httpx.Request("POST", url, headers={**_HEADERS, **headers}, content=body, extensions={"timeout": limits})
    # Said once, or each look at a header tries encodings on all of them.
    request.headers.encoding = _ENCODING
    response = await http.handle_async_request(request)
    response.headers.encoding = _ENCODING
    try:
        yield response
    finally:
        await response.aclose()


@contextmanager
def as_wire_errors(timeout_s: float) -> Iterator[None]:
    """Whatever breaks a request becomes a WireError."""
    try:
        yield
    except TimeoutError:
        raise too_late(timeout_s) from None
    except (httpx.HTTPError, aiohttp.ClientError, OSError) as error:
        met = too_late(timeout_s) if _timed_out(error) else broken(type(error).__name__)
        met.sent = not isinstance(error.__cause__ or error, _UNSENT)
        raise met from error


def broken(what: str, status: int | None = None) -> WireError:
    """The provider is away, or what it sent is not an answer."""
    return WireError(TransientError(f"the provider gave no usable answer: {what}", code="provider_unavailable"), status)


def too_late(timeout_s: float) -> WireError:
    """Nothing came in time."""
    return WireError(TransientError(f"no answer within {timeout_s:g} s", code="provider_timeout"))


def _timed_out(error: Exception) -> bool:
    """The transport names a reset connection a connect timeout too: the cause knows better."""
    if error.__cause__ is not None:
        return isinstance(error.__cause__, TimeoutError)
    return isinstance(error, httpx.TimeoutException)


async def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """The whole decoded body. An answer above `max_bytes` raises WireError, an error's body is cut."""
    status = response.status_code
    failed = status >= 300
    limit = min(max_bytes, _ERROR_BYTES) if failed else max_bytes
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in _PLAIN + _ZIPPED:
        raise broken("it is encoded in a way that was not asked for", status)
    body = _Body(limit, zipped=encoding in _ZIPPED)
    try:
        async for chunk in response.aiter_raw():
            body.feed(chunk)
            if body.full:
                break
    except zlib.error:
        raise broken("its compression is corrupt", status) from None
    if body.full and not failed:
        raise broken(f"it is larger than {max_bytes} bytes", status)
    if not body.complete and not failed:
        raise broken("its compression ends early", status)
    return body.taken()


class _Body:
    """Decodes as it comes and never holds more than `limit` bytes and one chunk."""

    def __init__(self, limit: int, zipped: bool) -> None:
        self._left = limit
        self._chunks: list[bytes] = []
        # 32 + 15: zlib or gzip, whichever it is.
        self._zip = zlib.decompressobj(wbits=47) if zipped else None
        self.full = False

    @property
    def complete(self) -> bool:
        """Whether a compressed body came to its end."""
        return self._zip is None or self._zip.eof

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the wire. Raises zlib.error."""
        if self._zip is not None and self._zip.eof:
            raise zlib.error("bytes after its end")
        decoded = chunk if self._zip is None else self._zip.decompress(chunk, self._left + 1)
        self.full = len(decoded) > self._left
        self._chunks.append(decoded[: self._left])
        self._left -= len(self._chunks[-1])

    def taken(self) -> bytes:
        """The decoded bytes so far."""
        return b"".join(self._chunks)
