"""What one `up` was asked to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from app.supervise.copies import SYSTEM_STORE


@dataclass(frozen=True, slots=True)
class Plan:
    """`data` is absolute. An empty URL asks for the embedded server. `port` 0 takes a free one.

    `providers`: real ones are configured; then only test keys ask the simulated one.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8000
    api: int = 1
    workers: int = 2
    verbose: bool = False
    database_url: str = ""
    redis_url: str = ""
    bootstrap_key: str | None = None
    postgres_bin: str | None = None
    valkey_bin: str | None = None
    config: Path | None = None
    simulate: bool = True
    providers: bool = False
    drain_s: float = 30.0
    store: Path = SYSTEM_STORE


class Release(Protocol):
    """Gives back at once what a dead child held."""

    async def __call__(self, database_url: str, process_id: UUID) -> None:
        """End the lease of that process. What it raises is said and forgotten: the lease then runs out by itself."""
        ...


class Say(Protocol):
    """Tells the person at the terminal."""

    def __call__(self, line: str) -> None: ...
