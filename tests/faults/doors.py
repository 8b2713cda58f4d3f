"""The proxies of one stage: between the service and PostgreSQL, Valkey, the provider and the receiver of webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.faults.proxy import Proxy, Target
from tests.stack import Stack


@dataclass(frozen=True, slots=True)
class Doors:
    """A proxy before each part."""

    postgres: Proxy
    valkey: Proxy
    provider: Proxy
    receiver: Proxy

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process of the crew go through them."""
        return {
            "LANEWAY_DATABASE_URL": f"postgresql://laneway@127.0.0.1:{self.postgres.port}/postgres",
            "LANEWAY_REDIS_URL": f"redis://127.0.0.1:{self.valkey.port}/0",
            "LANEWAY_SIMULATOR_URL": f"http://127.0.0.1:{self.provider.port}",
        }

    @property
    def hooks_url(self) -> str:
        """The receiver, behind its proxy."""
        return f"http://127.0.0.1:{self.receiver.port}"

    def heal(self) -> None:
        """All as at the start."""
        for door in self._all():
            door.heal()

    def end(self) -> None:
        """Close all."""
        for door in self._all():
            door.end()

    def _all(self) -> tuple[Proxy, ...]:
        return (self.postgres, self.valkey, self.provider, self.receiver)


@contextmanager
def open_doors(stack: Stack) -> Iterator[Doors]:
    """Before the parts of this stack, until the end of the block."""
    socket = Path(parse_qs(urlsplit(stack.servers.database_url).query)["host"][0]) / ".s.PGSQL.5432"
    doors = Doors(
        Proxy(str(socket)),
        Proxy(urlsplit(stack.servers.redis_url).path),
        Proxy(_address(stack.provider.url)),
        Proxy(_address(stack.hooks.url)),
    )
    try:
        yield doors
    finally:
        doors.end()


def _address(url: str) -> Target:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80
