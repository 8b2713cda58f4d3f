"""procrastinate's worker: `python -m bench.peers.procrastinate_worker`."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from bench.peers.given import CONCURRENCY, READY
from bench.peers.procrastinate_app import app


async def main() -> None:
    """Serve until SIGTERM."""
    async with app.open_async():
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        await app.run_worker_async(concurrency=CONCURRENCY, shutdown_graceful_timeout=5)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
