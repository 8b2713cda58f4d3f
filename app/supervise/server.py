"""What the parent needs to know of an embedded server."""

from __future__ import annotations

from typing import Protocol

from app.supervise.children import Program


class Server(Protocol):
    """An embedded server, started any number of times on the same files at the same address."""

    @property
    def name(self) -> str: ...

    @property
    def url(self) -> str:
        """The address for clients on this machine."""
        ...

    def prepare(self) -> None:
        """Make its files ready for a start; may take a second. Raises CannotStart, StillRunning."""
        ...

    def program(self) -> Program:
        """What to spawn."""
        ...

    def ready(self, pid: int) -> bool:
        """Whether the process of that id answers clients; never waits long."""
        ...
