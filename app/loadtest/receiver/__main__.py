"""Runs the receiver and prints its URL on one line: `python -m app.loadtest.receiver --port 0 --journal FILE`."""

import socket
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, cast

import uvicorn

from app.loadtest.receiver.application import Application
from app.loadtest.receiver.arrivals import Arrivals


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = (sockets or [])[0].getsockname()[:2]
        sys.stdout.write(f"{'https' if self.config.is_ssl else 'http'}://{host}:{port}\n")
        sys.stdout.flush()


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = ArgumentParser(prog="python -m app.loadtest.receiver", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="IPv4 address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--journal", type=Path, help="append each arrival to this file, on disk before the answer")
    parser.add_argument("--tls-cert", type=Path, help="serve https with this certificate (PEM)")
    parser.add_argument("--tls-key", type=Path, help="the certificate's key (PEM)")
    given = parser.parse_args()
    config = uvicorn.Config(
        cast(Any, Application(Arrivals(given.journal))),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=given.tls_cert,
        ssl_keyfile=given.tls_key,
    )
    _Server(config).run([socket.create_server((given.host, given.port), backlog=2048)])


if __name__ == "__main__":
    main()
