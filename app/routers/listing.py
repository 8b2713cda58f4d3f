"""Pages: opaque cursors and the filters of a list."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from uuid import UUID

from app.domain.errors import Problem
from app.domain.job import Job, Status
from app.routers.deps import field_problem
from app.routers.schemas import ListQuery
from app.store.reads import JobFilter

_PREFIX = "metadata."


def wanted(query: ListQuery, raw: Mapping[str, str]) -> JobFilter:
    """The store's filter. Raises Problem for a bad cursor or status."""
    statuses = tuple(part for part in (query.status or "").split(",") if part)
    for status in statuses:
        if status not in set(Status):
            raise field_problem("/status", f"{status!r} is no status: use {', '.join(Status)}")
    metadata = tuple((name.removeprefix(_PREFIX), raw[name]) for name in raw if name.startswith(_PREFIX))
    if any("\x00" in text for text in (*raw.values(), *raw)):
        raise field_problem("/", "a query parameter contains NUL")
    return JobFilter(
        workflow=query.workflow,
        statuses=statuses,
        created_after=query.created_after,
        created_before=query.created_before,
        tag=query.tag,
        metadata=metadata,
        error_code=query.error_code,
        error_class=query.error_class,
        disposition=query.disposition,
        after=_read(query.cursor) if query.cursor else None,
    )


def next_page(jobs: Sequence[Job], limit: int) -> tuple[Sequence[Job], str | None]:
    """The page, and the cursor of the next one when a further job was found."""
    page = jobs[:limit]
    return page, _write(page[-1].id) if len(jobs) > limit else None


def _write(after: UUID) -> str:
    return base64.urlsafe_b64encode(after.bytes).decode().rstrip("=")


def _read(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except ValueError:
        raise Problem("invalid_cursor", "The cursor is not one of ours: start without it.") from None
