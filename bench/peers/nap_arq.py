"""Stock arq under fault: `python -m bench.peers.nap_arq work`, or `enqueue COUNT SECONDS`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from arq import create_pool
from arq.worker import Worker

from bench.peers.diy_table import REDIS
from bench.peers.given import READY
from bench.peers.nap import nap as nap_once

# A dead worker's job waits for this long and ten seconds; by default it is 300.
_TIMEOUT_S = 30


async def nap(ctx: dict[str, Any], n: int, seconds: float) -> int:
    """The job."""
    return await nap_once(n, seconds)


async def begin(ctx: dict[str, Any]) -> None:
    """Tell that it serves."""
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()


async def enqueue(count: int, seconds: float) -> None:
    """So many jobs."""
    pool = await create_pool(REDIS)
    for n in range(count):
        await pool.enqueue_job("nap", n, seconds)
    await pool.aclose()


if __name__ == "__main__":
    if sys.argv[1] == "work":
        Worker([nap], redis_settings=REDIS, on_startup=begin, job_timeout=_TIMEOUT_S).run()
    else:
        asyncio.run(enqueue(int(sys.argv[2]), float(sys.argv[3])))
