"""A round-robin proxy in a thread: asks each upstream for `/readyz`, and leaves one that is not ready out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

_CHECK_EVERY_S = 0.1
_CHECK_PATIENCE_S = 2.0
_PROBE = b"GET /readyz HTTP/1.1\r\nHost: check\r\nConnection: close\r\n\r\n"


class Proxy:
    """Connections go to the ready upstreams in turn; one that refuses is passed over."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports
        self._turn = 0
        self.ready: set[int] = set()
        self.port = 0
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End it, from another thread."""
        assert self._stop is not None
        loop, stop = self._stop
        loop.call_soon_threadsafe(stop.set)

    async def run(self, started: threading.Event) -> None:
        """Serve until told to stop."""
        stop = asyncio.Event()
        self._stop = asyncio.get_running_loop(), stop
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        checks = [asyncio.create_task(self._check(port)) for port in self._ports]
        started.set()
        await stop.wait()
        server.close()
        for task in checks:
            task.cancel()

    async def _check(self, port: int) -> None:
        while True:
            (self.ready.add if await _is_ready(port) else self.ready.discard)(port)
            await asyncio.sleep(_CHECK_EVERY_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in self._ports:
            port = self._next()
            if port is None:
                break
            with suppress(OSError):
                upstream, sender = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(_pump(reader, sender), _pump(upstream, writer))
                return
        writer.close()

    def _next(self) -> int | None:
        ready = [port for port in self._ports if port in self.ready]
        self._turn += 1
        return ready[self._turn % len(ready)] if ready else None


@contextmanager
def running_proxy(ports: Sequence[int]) -> Iterator[Proxy]:
    """A proxy before these ports."""
    proxy, started = Proxy(ports), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.run(started)))
    thread.start()
    try:
        assert started.wait(10)
        yield proxy
    finally:
        proxy.stop()
        thread.join()


async def _is_ready(port: int) -> bool:
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(_CHECK_PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(_PROBE)
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    return False


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until either side ends."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
