"""Pages: opaque cursors and the filters of a list."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from app.domain.errors import FieldError, Problem
from app.domain.job import Job, Status
from app.routers.deps import field_problem
from app.routers.schemas import ListQuery, MetadataKey, MetadataValue
from app.store.reads import JobFilter

_PREFIX = "metadata."
# Ids hold milliseconds since then.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Pairs = Sequence[tuple[str, str]]
_KEY: TypeAdapter[str] = TypeAdapter(MetadataKey)
_VALUE: TypeAdapter[str] = TypeAdapter(MetadataValue)


def wanted(query: ListQuery, given: Pairs) -> JobFilter:
    """The store's filter of a query; `given` are its raw parameters. Raises Problem that names the parameter."""
    _refuse_unknown(name for name, _ in given)
    after = query.created_after
    return JobFilter(
        workflow=query.workflow,
        statuses=_statuses(query.status),
        created_after=after if after and after > _EPOCH else None,
        created_before=query.created_before,
        tag=query.tag,
        metadata=_metadata(given),
        error_code=query.error_code,
        error_class=query.error_class,
        disposition=query.disposition,
        after=id_of(query.cursor) if query.cursor is not None else None,
    )


def next_page(jobs: Sequence[Job], limit: int) -> tuple[Sequence[Job], str | None]:
    """The page, and the cursor of the next one when a further job was found."""
    page = jobs[:limit]
    return page, cursor_of(page[-1].id) if len(jobs) > limit else None


def next_link(url: str, given: Pairs, cursor: str) -> str:
    """The `Link` header to the next page of the same list."""
    query = urlencode([*((name, value) for name, value in given if name != "cursor"), ("cursor", cursor)])
    return f'<{url}?{query}>; rel="next"'


def _refuse_unknown(names: Iterable[str]) -> None:
    for name in names:
        if name not in ListQuery.model_fields and not name.startswith(_PREFIX):
            detail = "This parameter is unknown: remove it or correct its name."
            shown = FieldError(f"/{name[:200]}", "unknown_field", detail)
            raise Problem("unknown_field", f"{shown.pointer}: {detail}", errors=(shown,))


def _statuses(text: str | None) -> tuple[str, ...]:
    statuses = tuple(part for part in (text or "").split(",") if part)
    for status in statuses:
        if status not in set(Status):
            raise field_problem("/status", f"{status[:50]!r} is no status: use {', '.join(Status)}")
    return statuses


def _metadata(given: Pairs) -> tuple[tuple[str, str], ...]:
    return tuple(_pair(name, value) for name, value in given if name.startswith(_PREFIX))


def _pair(name: str, value: str) -> tuple[str, str]:
    try:
        return _KEY.validate_python(name.removeprefix(_PREFIX)), _VALUE.validate_python(value)
    except ValidationError:
        detail = "1 to 100 characters name a metadata key, up to 1000 are its value, none of them NUL."
        raise field_problem(f"/{name[:200]}", detail) from None


def cursor_of(after: UUID) -> str:
    """The opaque cursor behind this id."""
    return base64.urlsafe_b64encode(after.bytes).decode().rstrip("=")


def id_of(cursor: str) -> UUID:
    """The id of a cursor. Raises Problem `invalid_cursor`."""
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except ValueError:
        raise Problem("invalid_cursor", "The cursor is not one of ours: start without it.") from None
