"""SAQ under fault: `python -m bench.peers.nap_saq work`, or `enqueue COUNT SECONDS`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from saq import Worker

from bench.peers.given import READY
from bench.peers.nap import nap as nap_once
from bench.peers.saq_app import open_queue

_TIMEOUT_S, _RETRIES = 30, 10


async def nap(ctx: dict[str, Any], *, n: int, seconds: float) -> int:
    """The job."""
    return await nap_once(n, seconds)


async def begin(ctx: dict[str, Any]) -> None:
    """Tell that it serves."""
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()


async def work() -> None:
    """Serve until SIGTERM."""
    queue = open_queue()
    await queue.connect()
    await Worker(queue, [nap], startup=begin).start()
    await queue.disconnect()


async def enqueue(count: int, seconds: float) -> None:
    """So many jobs."""
    queue = open_queue()
    await queue.connect()
    for n in range(count):
        await queue.enqueue("nap", n=n, seconds=seconds, timeout=_TIMEOUT_S, retries=_RETRIES)
    await queue.disconnect()


if __name__ == "__main__":
    asyncio.run(work() if sys.argv[1] == "work" else enqueue(int(sys.argv[2]), float(sys.argv[3])))
