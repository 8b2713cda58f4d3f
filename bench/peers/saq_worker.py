"""SAQ's worker: `python -m bench.peers.saq_worker`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvloop
from saq import Worker

from bench.peers.given import CONCURRENCY, READY
from bench.peers.saq_app import noop, open_queue


async def begin(ctx: dict[str, Any]) -> None:
    """Tell that it serves."""
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()


async def main() -> None:
    """Serve until SIGTERM."""
    queue = open_queue()
    await queue.connect()
    await Worker(queue, [noop], concurrency=CONCURRENCY, startup=begin).start()
    await queue.disconnect()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
