"""`laneway serve`: one API process."""

from __future__ import annotations

import socket
from types import FrameType
from typing import Annotated

import typer
import uvicorn

from app.cli.start import start
from app.main import create_app, leave
from app.routers.wire import ProblemProtocol

_BACKLOG = 2048


class _Server(uvicorn.Server):
    """Tells the application at once that it must stop, so that no client is held until the drain is over."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        leave(self.config.app)


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
    server = _Server(config)
    server.run(sockets=[socket.socket(fileno=fd)] if fd is not None else None)
    if not server.started:
        raise typer.Exit(1)
