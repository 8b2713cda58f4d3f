"""The receiver's HTTP: every POST is a webhook; `/received` and `/script` are for whoever runs the experiment."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

from pydantic import ValidationError

from app.loadtest.receiver.arrivals import Arrival, Arrivals
from app.loadtest.receiver.script import ANSWERS, Answer, Script

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
_CHUNK = b"\0" * 65536


class Application:
    """An ASGI application."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._script = Script()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        query = parse_qs(scope["query_string"].decode())
        asked = query.get("path", [None])[0]
        match scope["method"], scope["path"]:
            case "GET", "/received":
                await _reply(send, 200, self._arrivals.shown(asked))
            case "DELETE", "/received":
                self._arrivals.all.clear()
                await _reply(send, 204, b"")
            case "PUT", "/script":
                await self._set_script(send, asked or "*", body)
            case "POST", path:
                await self._webhook(path, scope, body, receive, send)
            case _:
                await _reply(send, 404, b"{}")

    async def _set_script(self, send: Send, path: str, body: bytes) -> None:
        try:
            self._script.set(path, ANSWERS.validate_json(body))
        except ValidationError as error:
            await _reply(send, 422, error.json().encode())
        else:
            await _reply(send, 204, b"")

    async def _webhook(self, path: str, scope: Any, body: bytes, receive: Receive, send: Send) -> None:
        answer = self._script.next(path)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        arrival = self._arrivals.add(path, headers, body, answer.status)
        left = asyncio.ensure_future(_left(receive))
        speaking = asyncio.ensure_future(_speak(answer, arrival, send))
        try:
            await asyncio.wait((left, speaking), return_when=asyncio.FIRST_COMPLETED)
            arrival.gone = not speaking.done()
        finally:
            for task in (left, speaking):
                task.cancel()
            await asyncio.gather(left, speaking, return_exceptions=True)


async def _speak(answer: Answer, arrival: Arrival, send: Send) -> None:
    await asyncio.sleep(answer.delay_s)
    if answer.hang == "status":
        await asyncio.Event().wait()
    await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer)})
    for chunk in _chunks(answer):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        arrival.sent_bytes += len(chunk)
        # A fast reader would otherwise keep the loop from seeing that he left.
        await asyncio.sleep(0)
        if answer.hang == "body":
            await asyncio.Event().wait()
    await send({"type": "http.response.body", "body": b""})


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    named = {"retry-after": answer.retry_after, "location": answer.location}
    named["content-encoding"] = "gzip" if answer.gzip else None
    return [(name.encode(), value.encode()) for name, value in named.items() if value is not None]


def _chunks(answer: Answer) -> Iterator[bytes]:
    squeeze = zlib.compressobj(wbits=31) if answer.gzip else None
    for start in range(0, answer.body_bytes, len(_CHUNK)):
        chunk = _CHUNK[: answer.body_bytes - start]
        packed = squeeze.compress(chunk) + squeeze.flush(zlib.Z_SYNC_FLUSH) if squeeze else chunk
        yield packed
    if squeeze:
        yield squeeze.flush()


async def _body(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _reply(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
