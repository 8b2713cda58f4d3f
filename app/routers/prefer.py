"""What a client is answered: now, after a wait, or never because it left."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response

from app.domain import canonical, ids
from app.domain.job import Job
from app.jobs.view import job_view
from app.wiring import Runtime


@dataclass(frozen=True, slots=True)
class Wish:
    """A client's wish to wait that many seconds; None answers at once."""

    seconds: float | None

    @property
    def applied(self) -> dict[str, str]:
        """`Preference-Applied` for it."""
        return {"Preference-Applied": f"wait={self.seconds:g}"} if self.seconds is not None else {}


def etag_of(job: Job) -> str:
    """The body is a function of the revision, so the tag is strong."""
    return f'"r{job.revision}"'


async def job_answer(
    runtime: Runtime, job: Job, status: int, headers: dict[str, str] | None = None, *, located: bool = False
) -> Response:
    """A job as an HTTP answer; a live one says when it is worth asking again."""
    extra = {"ETag": etag_of(job), "Cache-Control": "private, no-cache", **(headers or {})}
    if located:
        extra["Location"] = f"{runtime.base_url}/v1/jobs/{ids.show('job', job.id)}"
    if not job.status.terminal:
        extra["Retry-After"] = str(await runtime.latency.retry_after_s(job.project_id, job.workflow))
    return json_answer(job_view(job, runtime.base_url), status, extra)


def json_answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Any JSON value as an HTTP answer."""
    return Response(canonical.write(value), status, headers, media_type="application/json")


async def wait_unless_left(request: Request, runtime: Runtime, job: Job, seconds: float) -> Job | None:
    """The job at the end of the wait; None when the client left first."""
    waiting = asyncio.ensure_future(runtime.wait.for_end(job.project_id, job.id, seconds))
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return (await waiting or job) if waiting.done() else None
    finally:
        for task in (waiting, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
