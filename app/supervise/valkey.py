"""The embedded Valkey: memory only, reached by a socket that only its user and root can open."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from app.supervise.account import PLAIN_ENVIRONMENT
from app.supervise.binaries import ValkeyBinary
from app.supervise.children import Program
from app.supervise.home import Home

_PROBE_TIMEOUT_S = 0.2


@dataclass(frozen=True, slots=True)
class Valkey:
    """A server that keeps nothing: all of it can be lost. `log` receives what it says."""

    home: Home
    binary: ValkeyBinary
    log: Path

    name = "valkey"

    @property
    def socket_path(self) -> Path:
        return self.home.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket_path}"

    def prepare(self) -> None:
        """Nothing to prepare: the server replaces a socket that a crash left."""

    def program(self) -> Program:
        """`valkey-server` with persistence off, refusing writes rather than dropping keys when memory is short."""
        options = {
            "--port": "0",
            "--unixsocket": str(self.socket_path),
            "--unixsocketperm": "700",
            "--save": "",
            "--appendonly": "no",
            "--maxmemory-policy": "noeviction",
            "--dir": str(self.home.valkey),
        }
        words = [word for option in options.items() for word in option]
        return Program(
            name=self.name,
            argv=(str(self.binary.path), *words),
            environment=PLAIN_ENVIRONMENT,
            cwd=self.home.valkey,
            log=self.log,
            account=self.home.account,
        )

    def ready(self, pid: int) -> bool:
        """Whether it answers PING. An answer from another process would need the private socket: `pid` is not asked."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_PROBE_TIMEOUT_S)
            try:
                probe.connect(str(self.socket_path))
                probe.sendall(b"PING\r\n")
                return probe.recv(16).startswith(b"+PONG")
            except OSError:
                return False
