"""`laneway serve`: one API process."""

from __future__ import annotations

import signal
import socket
from types import FrameType
from typing import Annotated

import typer
import uvicorn

from app.cli.start import start
from app.domain.clock import SYSTEM_CLOCK
from app.main import announce, create_app, leave
from app.routers.wire import ProblemProtocol

_BACKLOG = 2048
# How long connections that clients keep are still answered after SIGTERM, each answer being the last one on it.
_FAREWELL_S = 1.0
_LOOK_S = 0.02


class _Server(uvicorn.Server):
    """Turns readiness off at the first signal, and stops after the notice or at the second.

    The application is told, so that no client is held until the drain is over.
    """

    def __init__(self, config: uvicorn.Config, notice_s: float) -> None:
        super().__init__(config)
        self._notice_s = notice_s
        self._stop_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.started and self._notice_s > 0 and self._stop_at is None:
            self._stop_at = SYSTEM_CLOCK.monotonic() + self._notice_s
            announce(self.config.app)
        else:
            super().handle_exit(sig, frame)
            leave(self.config.app)

    async def on_tick(self, counter: int) -> bool:
        if self._stop_at is not None and not self.should_exit and SYSTEM_CLOCK.monotonic() >= self._stop_at:
            self.handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say goodbye with the next answers before idle connections are closed.

        Who sends a request just as its connection is closed cannot know whether it was heard.
        """
        for listener in self.servers:
            listener.close()
        state, until = self.server_state, SYSTEM_CLOCK.monotonic() + _FAREWELL_S
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        while state.connections and not self.force_exit and SYSTEM_CLOCK.monotonic() < until:
            await SYSTEM_CLOCK.sleep(_LOOK_S)
        await super().shutdown(sockets)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    fd: Annotated[int | None, typer.Option(help="A listening socket that was handed down, instead.")] = None,
) -> None:
    """Serve the HTTP API. Needs LANEWAY_DATABASE_URL and LANEWAY_REDIS_URL."""
    settings, catalogue = start("serve")
    config = uvicorn.Config(
        create_app(settings, catalogue),
        host=host,
        port=port,
        loop="uvloop",
        http=ProblemProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, int(settings.drain_s)),
        lifespan="on",
    )
    # Before the server listens to signals there is nothing to drain; after the drain it raises them once more.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    server = _Server(config, settings.drain_notice_s)
    server.run(sockets=[socket.socket(fileno=fd)] if fd is not None else None)
    if not server.started:
        raise typer.Exit(1)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
