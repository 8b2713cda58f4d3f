"""What a client is answered: a job with its headers, now or after a wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar
from uuid import UUID

from fastapi import Request, Response

from app.domain import canonical, ids
from app.domain.errors import Problem
from app.domain.job import Job
from app.jobs.view import job_view, summary_view, tag_of
from app.routers.headers import ANY, known_tags
from app.routers.listing import cursor_of, next_link
from app.wiring import Runtime

Found = TypeVar("Found")


class Named(Protocol):
    """What has an id."""

    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=Named)


class ClientLeft(Exception):
    """Nobody is there to be answered."""


def etag_of(job: Job) -> str:
    """The body is a function of the revision, so the tag is strong."""
    return f'"{tag_of(job.revision)}"'


def kept(runtime: Runtime, job: Job | None) -> Job:
    """The job. Raises Problem 404 without one, 410 when its time to be kept is over."""
    if job is None:
        raise Problem("not_found", "There is no job with this id.")
    if job.status.terminal and job.expires_at <= runtime.clock.now():
        detail = "The job has ended and its retain_for has passed: input and output are no longer kept."
        raise Problem("result_expired", detail, extra={"job": summary_view(job, runtime.base_url)})
    return job


async def job_answer(
    runtime: Runtime, job: Job, status: int, headers: dict[str, str] | None = None, *, located: bool = False
) -> Response:
    """A job as an HTTP answer; a live one says when it is worth asking again."""
    extra = {"ETag": etag_of(job), "Cache-Control": "private, no-cache", **(headers or {})}
    if located:
        extra["Location"] = location(runtime, job)
    if not job.status.terminal:
        extra["Retry-After"] = str(await runtime.latency.retry_after_s(job))
    return json_answer(job_view(job, runtime.base_url), status, extra)


def location(runtime: Runtime, job: Job) -> str:
    """Where the job is."""
    return f"{runtime.base_url}/v1/jobs/{ids.show('job', job.id)}"


def json_answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Any JSON value as an HTTP answer."""
    return Response(canonical.write(value), status, headers, media_type="application/json")


def id_page(request: Request, url: str, found: Sequence[Row], limit: int, view: Callable[[Row], Any]) -> Response:
    """A page in the order of ids, newest first; one more than `limit` were looked for."""
    cursor = cursor_of(found[limit - 1].id) if len(found) > limit else None
    link = {"Link": next_link(url, request.query_params.multi_items(), cursor)} if cursor else {}
    page = {"data": [view(one) for one in found[:limit]], "next_cursor": cursor, "has_more": cursor is not None}
    return json_answer(page, headers={"Cache-Control": "private, no-store", **link})


def event_page(request: Request, url: str, found: Sequence[dict[str, Any]], limit: int) -> Response:
    """A page of events; one more than `limit` were looked for."""
    data = found[:limit]
    cursor = data[-1]["id"] if len(found) > limit else None
    link = {}
    if cursor is not None:
        given = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
        link = {"Link": next_link(url, given, cursor)}
    page = {"data": data, "next_cursor": cursor, "has_more": cursor is not None}
    return json_answer(page, headers={"Cache-Control": "private, no-store", **link})


def not_modified(request: Request, revision: int, headers: dict[str, str] | None = None) -> Response | None:
    """304 when the client knows this revision."""
    known = known_tags(request)
    if ANY not in known and tag_of(revision) not in known:
        return None
    fresh = {"ETag": f'"{tag_of(revision)}"', "Cache-Control": "private, no-cache"}
    return Response(status_code=304, headers={**fresh, **(headers or {})})


async def unless_left(request: Request, act: Coroutine[Any, Any, Found]) -> Found:
    """What `act` gives. Raises ClientLeft when the client closes first; `act` is canceled then."""
    acting = asyncio.ensure_future(act)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({acting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not acting.done():
            raise ClientLeft
        return acting.result()
    finally:
        for task in (acting, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
