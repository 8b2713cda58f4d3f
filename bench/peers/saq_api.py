"""FastAPI in front of SAQ: `POST /jobs` puts a job into Redis, which keeps job and result in memory only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Query, Response

from bench.peers.given import JobIn, JobOut
from bench.peers.saq_app import open_queue

_POLL_S = 0.002


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Connect."""
    app.state.queue = open_queue()
    await app.state.queue.connect()
    yield
    await app.state.queue.disconnect()


app = FastAPI(lifespan=lifespan)


@app.post("/jobs", status_code=202)
async def submit(job: JobIn, response: Response, wait: Annotated[float, Query(ge=0, le=60)] = 0) -> JobOut:
    """In Redis once it is answered."""
    if wait == 0:
        made = await app.state.queue.enqueue("noop", n=job.n)
        return JobOut(id=made.key, status="queued")
    result = await app.state.queue.apply("noop", n=job.n, timeout=int(wait), poll_interval=_POLL_S)
    response.status_code = 201
    return JobOut(id="", status="complete", result=result)
