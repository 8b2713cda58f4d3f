"""FastAPI in front of procrastinate: `POST /jobs` defers a job, which PostgreSQL then holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Query, Response
from procrastinate.jobs import Status

from bench.peers.given import JobIn, JobOut
from bench.peers.procrastinate_app import app as queue
from bench.peers.procrastinate_app import noop

_POLL_S = 0.005


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the pool; the tables exist."""
    async with queue.open_async():
        await queue.schema_manager.apply_schema_async()
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/jobs", status_code=202)
async def submit(job: JobIn, response: Response, wait: Annotated[float, Query(ge=0, le=60)] = 0) -> JobOut:
    """Durable once it is answered."""
    job_id = await noop.defer_async(n=job.n)
    if wait == 0:
        return JobOut(id=str(job_id), status="queued")
    response.status_code = 201
    async with asyncio.timeout(wait):
        while (await queue.job_manager.get_job_status_async(job_id)) != Status.SUCCEEDED:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
    return JobOut(id=str(job_id), status="succeeded")
