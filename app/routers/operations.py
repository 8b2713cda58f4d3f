"""Operations on many jobs, and the audit of what was done."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from app.domain import ids
from app.domain.errors import Problem
from app.routers.deps import OperatorDep, ReaderDep, RuntimeDep
from app.routers.listing import id_of
from app.routers.many_views import audit_view, operation_view
from app.routers.reply import id_page, json_answer
from app.routers.schemas import AuditQuery
from app.routers.timing import timed

router = APIRouter(prefix="/v1", tags=["operations"])
_UNKEPT = {"Cache-Control": "private, no-store"}


@router.get("/operations/{operation_id}", operation_id="operations.get", summary="How far an operation is")
async def get_operation(request: Request, operation_id: str, key: ReaderDep, runtime: RuntimeDep) -> Response:
    """The portions done of a large replay."""
    found = await timed(request, "store", runtime.replay.operation(key.project_id, _own(operation_id)))
    view = operation_view(found, runtime.base_url)
    return json_answer(view, headers={**_UNKEPT, **({} if view["terminal"] else {"Retry-After": "1"})})


@router.get("/audit", operation_id="audit.list", summary="Who did what")
async def list_audit(
    request: Request, key: OperatorDep, runtime: RuntimeDep, query: Annotated[AuditQuery, Query()]
) -> Response:
    """Acts upon jobs, keys, projects, pools, breakers and caches, newest first: who, when, what was asked.

    How many jobs it met, and which with `include=jobs`.
    """
    after = id_of(query.cursor) if query.cursor is not None else None
    only, jobs = _own(query.operation) if query.operation is not None else None, query.include == "jobs"
    reading = runtime.replay.audit(key.project_id, query.limit + 1, after=after, operation_id=only, jobs=jobs)
    found = await timed(request, "store", reading)
    return id_page(
        request, f"{runtime.base_url}/v1/audit", found, query.limit, lambda entry: audit_view(entry, jobs=jobs)
    )


def _own(text: str) -> UUID:
    try:
        return ids.read("op", text)
    except ids.InvalidId:
        raise Problem("not_found", "There is no operation with this id.") from None
