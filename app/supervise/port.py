"""The listening socket that all API children share, and how to know that one of them answers."""

from __future__ import annotations

import asyncio
import socket

from app.supervise.errors import CannotStart

_BACKLOG = 2048
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen; the socket stays while children come and go. Raises CannotStart."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotStart(f"Cannot listen on {host}: {error.strerror or error}. Choose another with --host.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotStart(
            f"Cannot listen on {host} port {port}: {error.strerror}. Choose another with --port; 0 takes a free one."
        ) from None
    return listener


def free_port(host: str) -> int:
    """A port that was free a moment ago. Raises CannotStart."""
    with listen(host, 0) as listener:
        return int(listener.getsockname()[1])


def reachable(listener: socket.socket) -> tuple[str, int]:
    """Host and port by which this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    return _EVERYWHERE.get(host, host), port


def url_of(host: str, port: int) -> str:
    """The http address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def answers(host: str, port: int, path: str) -> None:
    """Return once `GET path` is answered with 200. The caller bounds the time."""
    while True:
        if await _asked(host, port, path):
            return
        await asyncio.sleep(0.05)


async def _asked(host: str, port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return b" 200 " in await reader.readline()
        finally:
            writer.close()
    except OSError:
        return False
