"""Puts the jobs of a trace to the service over REST, each at its time, whether or not it answers quickly.

A backlog comes at 40 a second, several times faster than it is worked off, so that submits do not fill the machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import httpx

from bench.limits.traffic import REAL_TIME, Job

_AT_ONCE = 12
_BACKLOG_PER_S = 40.0


async def submit_all(url: str, keys: Mapping[str, str], jobs: Sequence[Job], began: float, until: float) -> None:
    """All that come within `until` seconds of `began` (of `time.time()`); `keys` by tenant.

    Real-time ones do not queue behind bulk.

    Raises RuntimeError when one is not accepted.
    """
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, limits=limits) as http:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + began + until - time.time()):
                lanes = ([job for job in jobs if (job.lane == REAL_TIME) is urgent] for urgent in (True, False))
                await asyncio.gather(*(_submit(http, keys, lane, began) for lane in lanes))


async def _submit(http: httpx.AsyncClient, keys: Mapping[str, str], jobs: Sequence[Job], began: float) -> None:
    free = asyncio.Semaphore(_AT_ONCE)
    async with asyncio.TaskGroup() as group:
        next_s = 0.0
        for job in sorted(jobs, key=lambda job: job.arrives):
            due_s = job.arrives if job.lane == REAL_TIME else max(job.arrives, next_s)
            next_s = due_s + 1 / _BACKLOG_PER_S
            await asyncio.sleep(max(0.0, began + due_s - time.time()))
            await free.acquire()
            group.create_task(_one(http, keys[job.tenant], job, free))


async def _one(http: httpx.AsyncClient, key: str, job: Job, free: asyncio.Semaphore) -> None:
    body = {
        "input": {"n": job.id, "tokens": job.input},
        "lane": "interactive" if job.lane == REAL_TIME else "bulk",
        "metadata": {"n": str(job.id)},
    }
    try:
        answer = await http.post("/v1/workflows/limits-ask/jobs", json=body, headers={"Authorization": f"Bearer {key}"})
    finally:
        free.release()
    if answer.status_code != 202:
        raise RuntimeError(f"{answer.status_code}: {answer.text[:300]}")
