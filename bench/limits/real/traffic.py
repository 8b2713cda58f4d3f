"""Puts the jobs of a trace to the service over REST, each at its time, whether or not it answers quickly.

A backlog comes over two thirds of the run, half as fast again as it can be worked off, so that submits do not fill the
machine. One that is there from the start is submitted before, to be run from the start on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from bench.limits.traffic import REAL_TIME, Job

_AT_ONCE = 12
_BACKLOG_OVER = 2 / 3


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where jobs are submitted, with which key of which tenant."""

    url: str
    keys: Mapping[str, str]

    async def ahead(self, jobs: Sequence[Job], began: float) -> None:
        """Now, to be run from `began` on (seconds of `time.time()`), or later where they arrive later.

        Raises RuntimeError when one is not accepted, or it takes until then.
        """
        async with self._http() as http:
            await self._submit(http, ((-began, job) for job in jobs), began)
        if time.time() >= began:
            raise RuntimeError("the backlog was not there at the start")

    async def during(self, jobs: Sequence[Job], began: float, until: float) -> None:
        """Each when it comes, within `until` seconds of `began`; real-time ones do not queue behind bulk.

        Raises RuntimeError when one is not accepted.
        """
        urgent = [(job.arrives, job) for job in jobs if job.lane == REAL_TIME]
        bulk = sorted((job for job in jobs if job.lane != REAL_TIME), key=lambda job: job.arrives)
        gap_s = _BACKLOG_OVER * until / max(1, len(bulk))
        paced = [(max(job.arrives, number * gap_s), job) for number, job in enumerate(bulk)]
        async with self._http() as http:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + began + until - time.time()):
                    await asyncio.gather(*(self._submit(http, lane, began) for lane in (urgent, paced)))

    def _http(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
        return httpx.AsyncClient(base_url=self.url, timeout=60, trust_env=False, limits=limits)

    async def _submit(self, http: httpx.AsyncClient, jobs: Iterable[tuple[float, Job]], began: float) -> None:
        """Each with the seconds since the start at which it is submitted; `-began`: at once."""
        free = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for due_s, job in jobs:
                await asyncio.sleep(max(0.0, began + due_s - time.time()))
                await free.acquire()
                group.create_task(self._one(http, job, began, free))

    async def _one(self, http: httpx.AsyncClient, job: Job, began: float, free: asyncio.Semaphore) -> None:
        body = {
            "input": {"n": job.id, "tokens": job.input},
            "lane": "interactive" if job.lane == REAL_TIME else "bulk",
            "metadata": {"n": str(job.id)},
        }
        if time.time() < began:
            body["run_at"] = datetime.fromtimestamp(began + job.arrives, UTC).isoformat()
        headers = {"Authorization": f"Bearer {self.keys[job.tenant]}"}
        try:
            answer = await http.post("/v1/workflows/limits-ask/jobs", json=body, headers=headers)
        finally:
            free.release()
        if answer.status_code != 202:
            raise RuntimeError(f"{answer.status_code}: {answer.text[:300]}")
