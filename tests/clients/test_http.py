"""The HTTP pool against what no honest provider sends: too much, bombs, redirects, corrupt and endless answers."""

from __future__ import annotations

import asyncio
import gzip
import resource
import zlib
from collections.abc import Iterator

import httpx
import orjson
import pytest

from app.clients.base import ModelClient
from app.clients.http import open_http
from app.clients.openai import OpenAIClient
from app.domain.errors import InputError, ProviderAuth, RateLimited, SystemFault, TransientError
from app.settings import ProviderSettings
from tests.clients.raw_server import Chunks, answering, http_answer
from tests.conformance.client_suite import fault_of, wire

_CHOICE = {"message": {"content": "hi"}, "finish_reason": "stop"}
_GOOD = orjson.dumps({"choices": [_CHOICE], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


def _client(http: httpx.AsyncBaseTransport, base_url: str) -> ModelClient:
    return OpenAIClient("main", ProviderSettings(dialect="openai", base_url=base_url), http)


def _endless() -> Iterator[bytes]:
    yield _HEAD + b"Content-Type: application/json\r\n\r\n"
    for _ in range(500):
        yield b" " * (1 << 20)


def _bomb() -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    yield _HEAD + b"Content-Encoding: gzip\r\n\r\n"
    for _ in range(128):
        yield packer.compress(b" " * (1 << 20))
    yield packer.flush()


def _after_the_end() -> Iterator[bytes]:
    yield _HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(_GOOD, mtime=0)
    for _ in range(200):
        yield b"\x00" * (1 << 20)


@pytest.mark.parametrize("answer", [_endless, _bomb, _after_the_end])
async def test_hundreds_of_megabytes_are_left_after_the_cap(http: httpx.AsyncBaseTransport, answer: Chunks) -> None:
    async with answering(answer) as server:
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        fault, status = await fault_of(_client(http, server.base_url), wire(max_answer_bytes=1 << 20))
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    assert (type(fault), fault.code, status) == (TransientError, "provider_unavailable", 200)
    assert grown_kb < 50_000
    assert server.sent < 100 << 20


async def test_the_cap_counts_decoded_bytes(http: httpx.AsyncBaseTransport) -> None:
    zipped = http_answer(gzip.compress(_GOOD + b" " * 3000, mtime=0), Content_Encoding="gzip")
    async with answering(zipped) as server:
        client = _client(http, server.base_url)
        assert (await client.complete(wire(max_answer_bytes=len(_GOOD) + 3000))).text == "hi"
        fault, _ = await fault_of(client, wire(max_answer_bytes=len(_GOOD) + 2999))
    assert "larger" in fault.detail


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
async def test_compressed_answers_are_read(http: httpx.AsyncBaseTransport, pack: object) -> None:
    body = gzip.compress(_GOOD, mtime=0) if pack is gzip.compress else zlib.compress(_GOOD)
    name = "gzip" if pack is gzip.compress else "deflate"
    async with answering(http_answer(body, Content_Encoding=name)) as server:
        assert (await _client(http, server.base_url).complete(wire())).text == "hi"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(gzip.compress(_GOOD, mtime=0)[:-12], "gzip"), (b"not zipped", "gzip"), (_GOOD, "br"), (_GOOD, "gzip, gzip")],
)
async def test_broken_encodings(http: httpx.AsyncBaseTransport, body: bytes, encoding: str) -> None:
    async with answering(http_answer(body, Content_Encoding=encoding)) as server:
        fault, _ = await fault_of(_client(http, server.base_url), wire())
    assert (type(fault), fault.code) == (TransientError, "provider_unavailable")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + _GOOD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_broken_http(http: httpx.AsyncBaseTransport, answer: bytes) -> None:
    async with answering(answer) as server:
        fault, _ = await fault_of(_client(http, server.base_url), wire())
    assert (type(fault), fault.code) == (TransientError, "provider_unavailable")


async def test_a_trickle_ends_with_the_deadline(http: httpx.AsyncBaseTransport) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    async with server:
        base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        fault, _ = await fault_of(_client(http, base_url), wire(timeout_s=0.4))
    assert fault.code == "provider_timeout"


async def test_a_redirect_is_not_followed(http: httpx.AsyncBaseTransport) -> None:
    async with answering(http_answer(_GOOD)) as target:
        moved = http_answer(b"", "307 Temporary Redirect", Location=f"{target.base_url}/chat/completions")
        async with answering(moved) as server:
            fault, status = await fault_of(_client(http, server.base_url), wire())
    assert (type(fault), status) == (SystemFault, 307)
    assert target.requests == []


async def test_no_cookie_is_kept(http: httpx.AsyncBaseTransport) -> None:
    async with answering(http_answer(_GOOD, Set_Cookie="session=1; Path=/")) as server:
        for _ in range(2):
            await _client(http, server.base_url).complete(wire())
    assert len(server.requests) == 2
    assert b"ookie" not in server.requests[1]


async def test_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(http_answer(b"", "502 Bad Gateway")) as proxy, answering(http_answer(_GOOD)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with open_http() as http:
            assert (await _client(http, server.base_url).complete(wire())).text == "hi"
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("status", "error", "fault_type", "code"),
    [
        ("400 Bad Request", {"message": "too long", "code": "x y; sk-KEY"}, InputError, "provider_refused"),
        ("400 Bad Request", {"message": "maximum context length is 10"}, InputError, "provider_refused"),
        ("413 Too Large", {}, InputError, "provider_refused"),
        ("422 Unprocessable", {"type": "invalid"}, InputError, "provider_refused"),
        ("401 Unauthorized", {"message": "Incorrect API key provided: sk-KEY"}, ProviderAuth, "provider_auth"),
        ("402 Payment Required", {}, ProviderAuth, "provider_auth"),
        ("403 Forbidden", {"code": "unsupported_country"}, ProviderAuth, "provider_auth"),
        ("404 Not Found", {"code": "model_not_found"}, SystemFault, "provider_refused"),
        ("408 Timeout", {}, TransientError, "provider_unavailable"),
        ("409 Conflict", {}, TransientError, "provider_unavailable"),
        ("429 Too Many", {"code": "rate_limit_exceeded"}, RateLimited, "provider_rate_limited"),
        ("429 Too Many", {"type": "insufficient_quota"}, ProviderAuth, "provider_auth"),
        ("429 Too Many", {"code": "billing_hard_limit_reached"}, ProviderAuth, "provider_auth"),
        ("500 Oops", {}, TransientError, "provider_unavailable"),
        ("504 Timeout", {}, TransientError, "provider_unavailable"),
        ("529 Overloaded", {"type": "overloaded_error"}, TransientError, "provider_unavailable"),
    ],
)
async def test_statuses_by_class(
    http: httpx.AsyncBaseTransport, status: str, error: dict[str, str], fault_type: type, code: str
) -> None:
    async with answering(http_answer(orjson.dumps({"error": error}), status)) as server:
        fault, got = await fault_of(_client(http, server.base_url), wire())
    assert (type(fault), fault.code, got) == (fault_type, code, int(status[:3]))
    assert str(got) in fault.detail
    assert "KEY" not in fault.detail
    assert ("context_length_exceeded" in fault.detail) == ("context" in error.get("message", ""))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "down"}', b'{"error": [1]}', b" " * 300_000])
async def test_an_error_body_may_be_anything(http: httpx.AsyncBaseTransport, body: bytes) -> None:
    async with answering(http_answer(body, "503 Unavailable", Retry_After="7")) as server:
        fault, status = await fault_of(_client(http, server.base_url), wire())
    assert (type(fault), fault.retry_after_s, status) == (TransientError, 7.0, 503)
