"""The do-it-yourself service: FastAPI, the job as a row in PostgreSQL, arq to run it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID, uuid4

import asyncpg
from arq import ArqRedis
from fastapi import FastAPI, HTTPException, Query, Response

from bench.peers.diy_table import connect, open_queue
from bench.peers.given import TUNED, JobIn, JobOut

# arq's own default for `Job.result`, and what one sets who wants answers soon.
_POLL_S = 0.005 if TUNED else 0.5
_INSERT = "insert into jobs (id, kind, status, input) values ($1, $2, 'queued', $3)"
_READ = "select status, result from jobs where id = $1"

pool: asyncpg.Pool
queue: ArqRedis


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open what the requests share."""
    global pool, queue
    pool, queue = await connect(), await open_queue()
    yield
    await queue.aclose()
    await pool.close()


app = FastAPI(lifespan=lifespan)


@app.post("/jobs", status_code=202)
async def submit(job: JobIn, response: Response, wait: Annotated[float, Query(ge=0, le=60)] = 0) -> JobOut:
    """Durable once it is answered: the row is committed first."""
    job_id = uuid4()
    await pool.execute(_INSERT, job_id, job.kind, job.model_dump_json())
    await queue.enqueue_job(job.kind, job.n, _job_id=str(job_id))
    if wait == 0:
        return JobOut(id=str(job_id), status="queued")
    response.status_code = 201
    async with asyncio.timeout(wait):
        return await _ended(job_id)


@app.get("/jobs/{job_id}")
async def read(job_id: UUID) -> JobOut:
    """The job as it stands."""
    return await _read(job_id)


async def _ended(job_id: UUID) -> JobOut:
    while True:
        found = await _read(job_id)
        if found.result is not None:
            return found
        await asyncio.sleep(_POLL_S)


async def _read(job_id: UUID) -> JobOut:
    row = await pool.fetchrow(_READ, job_id)
    if row is None:
        raise HTTPException(404)
    return JobOut(id=str(job_id), status=row["status"], result=json.loads(row["result"]) if row["result"] else None)
