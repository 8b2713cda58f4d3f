"""procrastinate under fault: `python -m bench.peers.nap_procrastinate work`, or `enqueue COUNT SECONDS`.

It takes nothing back by itself: as its manual says, a periodic task looks for jobs whose worker is gone.
"""

from __future__ import annotations

import asyncio
import sys

from procrastinate import JobContext

from bench.peers.given import READY
from bench.peers.nap import nap as nap_once
from bench.peers.procrastinate_app import app

_CONCURRENCY, _GRACE_S = 10, 1


@app.task(name="nap", retry=10)
async def nap(n: int, seconds: float) -> None:
    """The job."""
    await nap_once(n, seconds)


@app.periodic(cron="*/5 * * * * *")
@app.task(name="take_back", queueing_lock="take_back", pass_context=True)
async def take_back(context: JobContext, timestamp: int) -> None:
    """Every five seconds: queue again what a dead worker held."""
    for job in await app.job_manager.get_stalled_jobs():
        await app.job_manager.retry_job(job)


async def work() -> None:
    """Serve until SIGTERM."""
    async with app.open_async():
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        await app.run_worker_async(concurrency=_CONCURRENCY, shutdown_graceful_timeout=_GRACE_S)


async def enqueue(count: int, seconds: float) -> None:
    """So many jobs; makes the tables where there are none."""
    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        for n in range(count):
            await nap.defer_async(n=n, seconds=seconds)


if __name__ == "__main__":
    asyncio.run(work() if sys.argv[1] == "work" else enqueue(int(sys.argv[2]), float(sys.argv[3])))
