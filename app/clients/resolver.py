"""Names to addresses, so that no hanging name server takes more than one thread for each host."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

_THREADS = 32


class Resolver(Protocol):
    """Looks up a host."""

    async def addresses(self, host: str) -> list[str]:
        """The host's IP addresses in the order to try them. Raises OSError when there are none."""
        ...


class SystemResolver:
    """The machine's own lookup (/etc/hosts, DNS), on threads of its own; callers of one host share one lookup."""

    def __init__(self, threads: int = _THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="resolve")
        self._running: dict[str, Future[list[str]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """The host's IP addresses, each once. Raises OSError. A caller that leaves does not stop the lookup."""
        lookup = self._running.get(host)
        if lookup is None:
            lookup = self._running[host] = self._pool.submit(_look_up, host)
            lookup.add_done_callback(lambda _: self._running.pop(host, None))
        return await asyncio.shield(asyncio.wrap_future(lookup))


SYSTEM_RESOLVER = SystemResolver()


def _look_up(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
