"""Server-sent events out of chunks that end anywhere, and streams that no honest provider sends."""

from __future__ import annotations

import asyncio
import gzip
import resource
from collections.abc import Callable, Iterator
from itertools import pairwise

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clients.anthropic import AnthropicClient
from app.clients.base import ModelClient
from app.clients.openai import OpenAIClient
from app.clients.sse import Event, EventReader, EventTooLarge
from app.domain.errors import InputError, ProviderAuth, RateLimited, TransientError
from app.settings import ProviderSettings
from tests.clients.raw_server import Chunks, answering, body_of, http_answer
from tests.conformance.client_suite import error_of, fault_of, streamed, wire

_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n"


def _openai(http: httpx.AsyncBaseTransport, base_url: str) -> ModelClient:
    return OpenAIClient("main", ProviderSettings(dialect="openai", base_url=base_url), http)


def _anthropic(http: httpx.AsyncBaseTransport, base_url: str) -> ModelClient:
    return AnthropicClient("main", ProviderSettings(dialect="anthropic", base_url=base_url), http)


def _all(chunks: list[bytes], max_bytes: int = 1 << 20) -> list[Event]:
    reader = EventReader(max_bytes)
    return [event for chunk in chunks for event in reader.feed(chunk)]


def _cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


_LINE = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=12)
_EVENTS = st.lists(st.tuples(_LINE, st.lists(_LINE, min_size=1, max_size=3)), max_size=5)
_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(_EVENTS, _ENDS, st.lists(st.integers(0, 500), max_size=20), st.booleans())
def test_events_are_the_same_however_they_are_cut(
    events: list[tuple[str, list[str]]], end: bytes, places: list[int], mark: bool
) -> None:
    body = b"\xef\xbb\xbf" if mark else b""
    for name, lines in events:
        body += b": a comment" + end + b"event: " + name.encode() + end + b"id: 3" + end
        body += b"".join(b"data: " + line.encode() + end for line in lines) + end
    expected = [Event(name, "\n".join(lines).encode()) for name, lines in events]
    assert _all(_cut(body, places)) == expected


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: a", []),
        (b"data: a\n", []),
        (b"data: a\n\n", [Event("", b"a")]),
        (b"data:a\n\n", [Event("", b"a")]),
        (b"data:  a\n\n", [Event("", b" a")]),
        (b"data\n\n", [Event("", b"")]),
        (b"event: x\n\n", []),
        (b"event: x\n\ndata: a\n\n", [Event("", b"a")]),
        (b"\n\n\n: ping\n\nretry: 3\nnonsense\n\n", []),
        (b"data: a\r\n\r\ndata: b\n\ndata: c\r\r", [Event("", b"a"), Event("", b"b"), Event("", b"c")]),
        (b"event: \xff\ndata: \xff\n\n", [Event("�", b"\xff")]),
    ],
)
def test_the_rules_of_the_format(body: bytes, events: list[Event]) -> None:
    assert _all([body]) == events
    assert _all([body[n : n + 1] for n in range(len(body))]) == events


@pytest.mark.parametrize(
    "body", [b"data: " + b"a" * 200, b"data: a\n" * 200, b"x" * 200, b"data: " + b"a" * 200 + b"\n"]
)
def test_no_event_is_larger_than_allowed(body: bytes) -> None:
    with pytest.raises(EventTooLarge):
        _all([body], max_bytes=100)
    with pytest.raises(EventTooLarge):
        _all([body[n : n + 1] for n in range(len(body))], max_bytes=100)


def _pings() -> Iterator[bytes]:
    yield _HEAD + b"\r\n"
    for _ in range(400):
        yield b": ping\n\n" * (1 << 16)


def _one_line() -> Iterator[bytes]:
    yield _HEAD + b"\r\ndata: "
    for _ in range(400):
        yield b"a" * (1 << 20)


@pytest.mark.parametrize("body", [_pings, _one_line])
@pytest.mark.parametrize("connect", [_openai, _anthropic])
async def test_an_endless_stream_is_left_after_the_cap(
    http: httpx.AsyncBaseTransport, connect: Callable[[httpx.AsyncBaseTransport, str], ModelClient], body: Chunks
) -> None:
    async with answering(body) as server:
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        call = wire(max_answer_bytes=1 << 13)
        fault, status = await fault_of(connect(http, server.base_url), call, streamed)
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    assert (type(fault), fault.code, status) == (TransientError, "provider_unavailable", 200)
    assert "larger" in fault.detail
    assert grown_kb < 20_000
    assert server.sent < 100 << 20


def _chunk(**choice: object) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": None, **choice}]}) + b"\n\n"


_HI = _chunk(delta={"content": "hi"})
_STOP = _chunk(finish_reason="stop")
_DONE = b"data: [DONE]\n\n"


async def test_what_is_asked_for(http: httpx.AsyncBaseTransport) -> None:
    async with answering(http_answer(_HI + _STOP + _DONE)) as server:
        answer = await streamed(_openai(http, server.base_url), wire())
    assert (answer.text, answer.finish_reason, answer.usage) == ("hi", "stop", None)
    sent = body_of(server.requests[0])
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})
    head = server.requests[0].lower()
    assert b"accept: text/event-stream" in head
    # Compression would hold the pieces back.
    assert b"accept-encoding: identity" in head


async def test_a_connection_is_used_again_after_a_stream(http: httpx.AsyncBaseTransport) -> None:
    requests: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(0)
        try:
            while b"content-length: " in (head := (await reader.readuntil(b"\r\n\r\n")).lower()):
                await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
                requests[-1] += 1
                body = _HI + _STOP + _DONE
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body))
                # The end of the stream and the end of its HTTP answer rarely come together.
                await asyncio.sleep(0.05)
                writer.write(b"0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        client = _openai(http, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for _ in range(3):
            assert (await streamed(client, wire())).text == "hi"
    assert requests == [3]


async def test_what_comes_after_the_end_is_not_waited_for(http: httpx.AsyncBaseTransport) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_HEAD + b"Content-Length: 100000\r\n\r\n" + _HI + _STOP + _DONE + _HI)
        await reader.read(1 << 16)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        client = _openai(http, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        started = asyncio.get_running_loop().time()
        assert (await streamed(client, wire())).text == "hi"
        assert asyncio.get_running_loop().time() - started < 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        _HI + _STOP,
        _HI + _DONE,
        _HI + _STOP + b"data: [DONE]",
        b'data: {"choices": [3]}\n\n' + _STOP + _DONE,
        _chunk(delta="hi") + _STOP + _DONE,
        _chunk(delta={"content": 3}) + _STOP + _DONE,
        b"data: {\n\n" + _STOP + _DONE,
        b"data: 3\n\n" + _STOP + _DONE,
        b'{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}',
        b"<html>we are back soon</html>",
    ],
)
async def test_a_stream_that_is_not_the_protocol(http: httpx.AsyncBaseTransport, body: bytes) -> None:
    async with answering(http_answer(body)) as server:
        fault, status = await fault_of(_openai(http, server.base_url), wire(), streamed)
    assert (type(fault), fault.code, status) == (TransientError, "provider_unavailable", 200)


async def test_a_compressed_stream_was_not_asked_for(http: httpx.AsyncBaseTransport) -> None:
    async with answering(http_answer(gzip.compress(_HI + _STOP + _DONE), Content_Encoding="gzip")) as server:
        fault, _ = await fault_of(_openai(http, server.base_url), wire(), streamed)
    assert fault.code == "provider_unavailable"


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ((_chunk(delta={"refusal": "I can't"}), _STOP), "content_filter"),
        ((_HI, _chunk(delta=None, finish_reason="length")), "length"),
        ((_HI, _chunk(finish_reason="content_filter")), "content_filter"),
        ((_HI, b'data: {"choices": null}\n\n', b": ping\n\n", b'data: {"id": 3}\n\n', _STOP), "stop"),
    ],
)
async def test_reasons_of_the_end(http: httpx.AsyncBaseTransport, choices: tuple[bytes, ...], reason: str) -> None:
    async with answering(http_answer(b"".join(choices) + _DONE)) as server:
        assert (await streamed(_openai(http, server.base_url), wire())).finish_reason == reason


@pytest.mark.parametrize(
    ("error", "fault_type"),
    [
        ({"message": "x", "type": "server_error"}, TransientError),
        ({"message": "x", "code": "rate_limit_exceeded", "type": "requests"}, RateLimited),
        ({"message": "x", "code": "insufficient_quota"}, ProviderAuth),
        ({"message": "maximum context length"}, InputError),
        ({"message": "x", "code": 429}, RateLimited),
        ({"message": "x", "code": 400}, InputError),
        ({"message": "x", "code": 200}, TransientError),
        ("sorry", TransientError),
        ({"message": "your credit balance is too low, sk-KEY"}, TransientError),
    ],
)
async def test_errors_in_mid_stream(http: httpx.AsyncBaseTransport, error: object, fault_type: type) -> None:
    events = _HI, b"event: error\ndata: " + orjson.dumps({"error": error}) + b"\n\n"
    async with answering(http_answer(b"".join(events))) as server:
        broken = await error_of(_openai(http, server.base_url), wire(), streamed)
    assert (type(broken.fault), broken.status) == (fault_type, 200)
    assert "KEY" not in broken.fault.detail


async def test_an_error_event_may_be_the_error_itself(http: httpx.AsyncBaseTransport) -> None:
    async with answering(http_answer(_HI + b'event: error\ndata: {"code": "insufficient_quota"}\n\n')) as server:
        fault, _ = await fault_of(_openai(http, server.base_url), wire(), streamed)
    assert type(fault) is ProviderAuth
