"""The events of a project: a page, or a stream that goes on."""

from __future__ import annotations

import re
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from app.domain import ids
from app.domain.errors import Problem
from app.jobs.view import feed_view
from app.routers.deps import ReaderDep, RuntimeDep
from app.routers.headers import last_event_id, wants_stream
from app.routers.reply import event_page
from app.routers.schemas import EventsQuery
from app.routers.sse import EventStream
from app.store.feed import START, Place
from app.wiring import Runtime

router = APIRouter(prefix="/v1", tags=["events"])
# As webhooks tell it.
_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


@router.get("/events", operation_id="events.list", summary="Follow the project")
async def get_feed(
    request: Request, key: ReaderDep, runtime: RuntimeDep, query: Annotated[EventsQuery, Query()]
) -> Response:
    """All events of the project's jobs and budgets in the order of their commits, oldest first; a page, or a stream.

    Whoever missed webhooks finds here what they told; `after` takes their `feed_cursor` too.
    """
    place = await _place(runtime, key.project_id, last_event_id(request) or query.after or query.cursor)
    if wants_stream(request):
        return EventStream(runtime.tail.follow(key.project_id, place), {})
    found = await runtime.feed.after(key.project_id, place, query.limit + 1)
    data = [feed_view(one, runtime.base_url) for one in found]
    return event_page(request, f"{runtime.base_url}/v1/events", data, query.limit)


async def _place(runtime: Runtime, project_id: UUID, known: str | None) -> Place:
    """Where the event that the client knows stands. Raises Problem 400."""
    if known is None:
        return START
    if match := _CURSOR.fullmatch(known):
        return Place(int(match[1]), int(match[2]))
    try:
        place = await runtime.feed.place(project_id, ids.read("evt", known))
    except ids.InvalidId:
        place = None
    if place is None:
        raise Problem("invalid_cursor", "This is no event of the project: start without it, from the first event.")
    return place
