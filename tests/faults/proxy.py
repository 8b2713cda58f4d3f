"""A TCP proxy that can be slow, frozen, cut, closed or half open, to stand before a part of the service."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any

_CHUNK = 1 << 16
Target = tuple[str, int] | str
"""Host and port, or the path of a socket."""


class Proxy:
    """Forwards `127.0.0.1:port` to the target, in a thread of its own; the acts may be called from any other."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self.latency_s = 0.0
        self.port = 0
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.admit()

    def freeze(self) -> None:
        """No byte goes on, either way; connections stand, and new ones are taken, but nobody answers on them."""
        self._call(self._open.clear)

    def thaw(self) -> None:
        """What was held goes on."""
        self._call(self._open.set)

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        self._call(self._cut_all)

    def forget(self) -> None:
        """Half open: the connections that stand stay so on both ends and carry nothing, ever; new ones work."""
        self._call(self._forget_all)

    def refuse(self) -> None:
        """Cut, and refuse new connections."""
        self._wait(self._close())

    def admit(self) -> None:
        """Take connections again."""
        self._wait(self._listen())

    def heal(self) -> None:
        """As at the start; what was forgotten is found dead by its other end, as keepalive would in time."""
        self.latency_s = 0.0
        self._call(self._cut_forgotten)
        self.thaw()
        self.admit()

    def end(self) -> None:
        """Cut everything and stop for good."""
        self.refuse()
        self._wait(self._all_over())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the target."""
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def passage(self) -> None:
        """Return once a chunk may go on."""
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        await self._open.wait()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._cut_all()

    def _cut_all(self) -> None:
        for link in list(self._links):
            link.cut()

    def _forget_all(self) -> None:
        for link in self._links:
            link.forget()

    def _cut_forgotten(self) -> None:
        for link in list(self._links):
            if link.forgotten:
                link.cut()

    async def _all_over(self) -> None:
        while self._links:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    def _call(self, act: Callable[[], object]) -> None:
        async def once() -> None:
            act()

        self._wait(once())

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


class _Link:
    """One connection from a client, and the one to the target that it stands for."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._ends = [(reader, writer)]
        self._task = asyncio.current_task()
        self.forgotten = False

    async def run(self) -> None:
        """Until either end closes, or it is cut."""
        pumps: list[asyncio.Task[None]] = []
        with suppress(OSError, asyncio.CancelledError):
            try:
                await self._proxy.passage()
                self._ends.append(await self._proxy.connect())
                (client, to_client), (target, to_target) = self._ends
                pumps += [asyncio.ensure_future(self._pump(client, to_target))]
                pumps += [asyncio.ensure_future(self._pump(target, to_client))]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                for _, writer in self._ends:
                    writer.close()

    def cut(self) -> None:
        """Reset both ends."""
        for _, writer in self._ends:
            _reset_at_close(writer)
        if self._task is not None:
            self._task.cancel()

    def forget(self) -> None:
        """Swallow whatever comes from now on."""
        self.forgotten = True

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                await self._proxy.passage()
                if not self.forgotten:
                    writer.write(chunk)
                    await writer.drain()
            if self.forgotten:
                await asyncio.Event().wait()


def _reset_at_close(writer: asyncio.StreamWriter) -> None:
    end = writer.get_extra_info("socket")
    if end is not None and end.family != socket.AF_UNIX and end.fileno() >= 0:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
