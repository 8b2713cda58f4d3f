"""Sends one attempt of a webhook (Standard Webhooks): signed, pinned to a checked address, capped in time and bytes."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from app import __version__
from app.clients.address import why_bad_url
from app.clients.pin import ForbiddenAddress, open_session
from app.clients.resolver import SYSTEM_RESOLVER, Resolver
from app.clients.retry_after import retry_after_s
from app.clients.signature import sign
from app.domain import ids
from app.domain.clock import Clock
from app.domain.event import Delivery

MAX_ANSWER_BYTES = 4096
# The status decides; the rest of the answer is decoration and may not hold the slot.
BODY_TIMEOUT_S = 2.0
_CLOSE_TIMEOUT_S = 1.0
_USER_AGENT = f"laneway/{__version__}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one attempt saw. `error` is None for a 2xx, else a short code and for some a sentence in `detail`."""

    status_code: int | None = None
    error: str | None = None
    detail: str = ""
    body: bytes = b""
    retry_after_s: float | None = None


class WebhookClient:
    """The sender, one for each process; `timeout_s` bounds an attempt.

    Neither cookies, proxies, redirects nor decompression touch it.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        timeout_s: float,
        clock: Clock,
        resolver: Resolver = SYSTEM_RESOLVER,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        context = tls or httpx.create_ssl_context(trust_env=False)
        self._allow_private = allow_private
        self.timeout_s = timeout_s
        self._clock = clock
        # The transport alone: a whole httpx client would keep cookies and inflate answers.
        self._transport = AiohttpTransport(
            verify=context, trust_env=False, client=lambda: open_session(resolver, allow_private, context)
        )

    async def send(self, delivery: Delivery, traceparent: str) -> Answer:
        """One attempt, over within `timeout_s` whatever the other side does. Never raises but for cancellation."""
        wrong = why_bad_url(delivery.url, self._allow_private)
        if wrong:
            return Answer(error="forbidden_url", detail=wrong)
        deadline = asyncio.get_running_loop().time() + self.timeout_s
        try:
            request = self._request(delivery, traceparent)
            async with asyncio.timeout_at(deadline):
                response = await self._transport.handle_async_request(request)
        except TimeoutError:
            return Answer(error="timeout", detail=f"no answer within {self.timeout_s:g} s")
        except (httpx.HTTPError, aiohttp.ClientError, OSError) as error:
            return _failed(error)
        except ValueError as error:
            return Answer(error="invalid_request", detail=str(error)[:200])
        return await self._read(response, deadline)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    def _request(self, delivery: Delivery, traceparent: str) -> httpx.Request:
        message_id = ids.show("evt", delivery.event_id)
        timestamp_s = int(self._clock.now().timestamp())
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": sign(delivery.secret, message_id, timestamp_s, delivery.body),
            "content-type": "application/json",
            "user-agent": _USER_AGENT,
            "traceparent": traceparent,
            "accept": "*/*",
            "accept-encoding": "identity",
        }
        return httpx.Request("POST", delivery.url, headers=headers, content=delivery.body)

    async def _read(self, response: httpx.Response, deadline: float) -> Answer:
        """The answer's status and the first of its body. The status decides, so nothing after it is an error."""
        try:
            body = await _first_bytes(response, min(deadline, asyncio.get_running_loop().time() + BODY_TIMEOUT_S))
        finally:
            await _close(response)
        wait_s = retry_after_s(response.headers, self._clock.now())
        return Answer(response.status_code, _verdict(response), _redirect(response), body, wait_s)


def _verdict(response: httpx.Response) -> str | None:
    if response.is_success:
        return None
    return "redirect" if 300 <= response.status_code < 400 else "http_status"


def _redirect(response: httpx.Response) -> str:
    return "redirects are not followed" if 300 <= response.status_code < 400 else ""


async def _first_bytes(response: httpx.Response, deadline: float) -> bytes:
    """At most MAX_ANSWER_BYTES, both as received and as inflated; a broken or slow body is cut where it stands."""
    kept = bytearray()
    # The stream itself, closed on the spot: what was not read is not waited for.
    stream = cast(AsyncGenerator[bytes, None], aiter(cast(httpx.AsyncByteStream, response.stream)))
    with suppress(httpx.HTTPError, aiohttp.ClientError, OSError):
        async with asyncio.timeout_at(deadline), aclosing(stream):
            async for chunk in stream:
                kept += chunk
                if len(kept) >= MAX_ANSWER_BYTES:
                    break
    return _plain(bytes(kept[:MAX_ANSWER_BYTES]), response.headers.get("content-encoding", ""))


async def _close(response: httpx.Response) -> None:
    """Let go of the connection: kept when the answer was read to its end, dropped otherwise."""
    with suppress(httpx.HTTPError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await response.aclose()


def _plain(data: bytes, encoding: str) -> bytes:
    """Inflated, though we asked for no compression, where that is simple."""
    if encoding.lower() not in ("gzip", "deflate"):
        return data
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(data, MAX_ANSWER_BYTES)
    except zlib.error:
        return data


def _failed(error: BaseException) -> Answer:
    """The failure's name, from the first cause that has one; addresses and library texts stay inside."""
    for cause in _causes(error):
        for kind, code, detail in _KINDS:
            if isinstance(cause, kind):
                return Answer(error=code, detail=detail or str(cause))
    return Answer(error="protocol_error", detail="the answer is no valid HTTP")


_KINDS: tuple[tuple[type[BaseException], str, str], ...] = (
    (ForbiddenAddress, "forbidden_address", ""),
    (aiohttp.ClientConnectorDNSError, "dns_failed", "the host does not resolve"),
    (aiohttp.ClientSSLError, "tls_failed", "no trusted TLS connection"),
    (aiohttp.ClientConnectorError, "connect_failed", "no connection"),
    (aiohttp.InvalidURL, "forbidden_url", "the URL has no valid host"),
    (aiohttp.ServerDisconnectedError, "disconnected", "the connection ended before an answer"),
    (aiohttp.ClientOSError, "disconnected", "the connection broke before an answer"),
)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error's causes, deepest first: libraries wrap the true one."""
    cause = error.__cause__ or getattr(error, "os_error", None)
    if cause is not None:
        yield from _causes(cause)
    yield error
