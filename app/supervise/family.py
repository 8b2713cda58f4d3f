"""The programs of the API, worker, simulator and migration children, and what their environment tells them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.domain.ids import uuid7
from app.settings import child_environment
from app.supervise.children import Program
from app.supervise.commands import Commands
from app.supervise.folder import log_path
from app.supervise.plan import Plan
from app.supervise.port import url_of

PROCESS_ID = "LANEWAY_PROCESS_ID"
_SIMULATOR_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Family:
    """Everything the children need to know; `simulator_port` None runs no simulator."""

    plan: Plan
    commands: Commands
    database_url: str
    redis_url: str
    api_key: str
    simulator_port: int | None

    @property
    def simulator_url(self) -> str | None:
        return url_of(_SIMULATOR_HOST, self.simulator_port) if self.simulator_port is not None else None

    def migrate(self) -> Program:
        return self._program("migrate", self.commands.migrate)

    def simulate(self) -> Program:
        port = str(self.simulator_port)
        return self._program("simulator", (*self.commands.simulate, "--host", _SIMULATOR_HOST, "--port", port))

    def serve(self, name: str, listener: socket.socket) -> Program:
        """An API child, with a process id of its own at each call."""
        fd = listener.fileno()
        return self._program(name, (*self.commands.serve, "--fd", str(fd)), _own_id(), fds=(fd,))

    def work(self, name: str) -> Program:
        """A worker child, with a process id of its own at each call."""
        return self._program(name, self.commands.work, _own_id())

    def _program(
        self, name: str, argv: tuple[str, ...], own: Mapping[str, str] | None = None, fds: tuple[int, ...] = ()
    ) -> Program:
        environment = child_environment({**self._addresses(), **(own or {})})
        return Program(name, argv, environment, cwd=Path.cwd(), log=self._log(name), fds=fds)

    def _log(self, name: str) -> Path | None:
        return None if self.plan.verbose else log_path(self.plan.data, name)

    def _addresses(self) -> dict[str, str]:
        given = {
            "LANEWAY_DATABASE_URL": self.database_url,
            "LANEWAY_REDIS_URL": self.redis_url,
            "LANEWAY_BOOTSTRAP_KEY": self.api_key,
            "LANEWAY_SIMULATOR_URL": self.simulator_url,
            "LANEWAY_CONFIG": str(self.plan.config) if self.plan.config else None,
            "LANEWAY_BEGAN_WITH_PROVIDERS": "true" if self.plan.providers else None,
        }
        return {name: value for name, value in given.items() if value is not None}


def _own_id() -> dict[str, str]:
    return {PROCESS_ID: str(uuid7())}
