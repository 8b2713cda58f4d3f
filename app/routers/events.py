"""The events of a job: a page, or a stream that goes on until its end."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from app.domain import ids
from app.domain.errors import Problem
from app.jobs.view import event_view, job_view, thin_view
from app.routers.deps import ReaderDep, RuntimeDep, job_id_of
from app.routers.headers import last_event_id, wants_stream
from app.routers.reply import event_page, kept
from app.routers.schemas import EventsQuery
from app.routers.sse import EventStream
from app.store.events import JobEvents
from app.wiring import Runtime

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get("/{job_id}/events", operation_id="jobs.events", summary="Follow a job")
async def get_events(
    request: Request, job_id: str, key: ReaderDep, runtime: RuntimeDep, query: Annotated[EventsQuery, Query()]
) -> Response:
    """A page of the job's events, oldest first; `Accept: text/event-stream` follows the job until it has ended."""
    own, known = job_id_of(job_id), last_event_id(request) or query.after or query.cursor
    after = await place_of(runtime, key.project_id, own, known)
    streamed = wants_stream(request)
    found = await _found(runtime, key.project_id, own, after, 0 if streamed else query.limit + 1)
    if streamed:
        return EventStream(runtime.watch.follow(key.project_id, own, after, resumed=known is not None), {})
    job = thin_view(job_view(found.job, runtime.base_url))
    data = [event_view(event, job) for event in found.events]
    return event_page(request, job["urls"]["self"] + "/events", data, query.limit)


async def place_of(runtime: Runtime, project_id: UUID, job_id: UUID, known: str | None) -> int:
    """Where the event that the client knows stands, 0 for none. Raises Problem 400, 404, 410."""
    if known is None:
        return 0
    try:
        place = await runtime.events.place(job_id, ids.read("evt", known))
    except ids.InvalidId:
        place = None
    if place is None:
        await _found(runtime, project_id, job_id, 0, 0)
        raise Problem("invalid_cursor", "This is no event of the job: start without it, from the first event.")
    return place


async def _found(runtime: Runtime, project_id: UUID, job_id: UUID, after: int, limit: int) -> JobEvents:
    """Some events of a job. Raises Problem 404, 410."""
    found = await runtime.events.of_job(project_id, job_id, after, limit)
    job = kept(runtime, found.job if found else None)
    return JobEvents(job, found.events if found else ())
