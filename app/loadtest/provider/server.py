"""Runs the simulated provider under uvicorn: announces its address, gives each call its transport, stops fast."""

import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.loadtest.provider.application import Application
from app.loadtest.provider.options import Options

_GRACE_S = 0.3


class _TransportProtocol(HttpToolsProtocol):
    """Puts the transport into the scope, so that the application can cut the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(dict[str, Any], self.scope)["transport"] = self.transport


class _Server(uvicorn.Server):
    """Says where it listens; at SIGTERM or SIGINT gives running calls a short grace, then resets them."""

    def __init__(self, application: Application, options: Options) -> None:
        config = uvicorn.Config(
            cast(Any, application),
            loop="uvloop",
            http=_TransportProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self._application = application
        self._options = options

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _announce(self._options, (sockets or [])[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await self._application.reception.stop(_GRACE_S)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn does, without raising the signal once more at the end: a requested stop exits with 0."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, former in before.items():
                signal.signal(number, former)


def serve(options: Options) -> None:
    """Serves until SIGTERM or SIGINT. Raises OSError where the port is taken or a file can't be written."""
    application = Application(options)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.create_server((options.host, options.port), family=family, backlog=2048)
    _Server(application, options).run([listener])


def _announce(options: Options, port: int) -> None:
    host = f"[{options.host}]" if ":" in options.host else options.host
    if options.port_file is not None:
        partial = options.port_file.with_name(options.port_file.name + ".partial")
        partial.write_text(f"{port}\n")
        partial.replace(options.port_file)
    sys.stdout.write(f"laneway simulate: listening on http://{host}:{port}\n")
    sys.stdout.flush()
