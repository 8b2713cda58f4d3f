"""Dead letters: failed jobs by cause, and their replay."""

from __future__ import annotations

import base64
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from app.domain.errors import Disposition, Problem
from app.domain.operation import Replay, Which
from app.jobs.check import parse
from app.routers.deps import JsonDep, ReaderDep, RuntimeDep, WriterDep, field_problem, job_id_of
from app.routers.listing import next_link
from app.routers.many_views import cause_view, operation_view
from app.routers.reply import json_answer
from app.routers.schemas import DeadLettersFilter, DeadLettersQuery, ReplayBody
from app.routers.submission import idempotency_of
from app.routers.timing import timed
from app.routers.workflows import allowed, has_version
from app.store.keys import ApiKey
from app.wiring import Runtime

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"])
_UNKEPT = {"Cache-Control": "private, no-store"}
_SHOWN = 50
_MOST_OFFSET = 10**9


@router.get("", operation_id="dead_letters.list", summary="Dead letters by cause")
async def list_dead_letters(
    request: Request, key: ReaderDep, runtime: RuntimeDep, query: Annotated[DeadLettersQuery, Query()]
) -> Response:
    """Failed jobs, counted by workflow, version, step, error class and code, the most frequent cause first.

    Jobs that failed for their input stand apart: `disposition=quarantine`.
    """
    offset = _offset(query.cursor)
    which = _which(query, None)
    looking = runtime.replay.causes(key.project_id, which, query.limit + 1, offset)
    causes, total = await timed(request, "store", looking)
    more = len(causes) > query.limit
    cursor = _cursor(offset + query.limit) if more else None
    given = request.query_params.multi_items()
    link = {"Link": next_link(f"{runtime.base_url}/v1/dead-letters", given, cursor)} if cursor else {}
    data = [cause_view(cause) for cause in causes[: query.limit]]
    page = {"data": data, "total": total, "next_cursor": cursor, "has_more": more}
    return json_answer(page, headers={**_UNKEPT, **link})


@router.post("/replay", operation_id="dead_letters.replay", summary="Run dead letters again", status_code=202)
async def replay(request: Request, key: WriterDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """Queue dead letters again, by ids or by filter: 202 with an operation that works them off in portions.

    Only what has failed by now is replayed, and each once. `dry_run` answers 200 with the causes and changes nothing.
    """
    parsed = parse(ReplayBody, body)
    order = _order(runtime, key, parsed)
    if parsed.dry_run:
        causes, total = await runtime.replay.causes(key.project_id, order.which, _SHOWN + 1)
        data = [cause_view(cause) for cause in causes[:_SHOWN]]
        page = {"data": data, "total": total, "next_cursor": None, "has_more": len(causes) > _SHOWN}
        return json_answer(page, headers=_UNKEPT)
    beginning = runtime.replay.begin(key.project_id, key.id, order, idempotency_of(request, body))
    operation, repeated = await timed(request, "store", beginning)
    view = operation_view(operation, runtime.base_url)
    headers = {**_UNKEPT, "Location": view["urls"]["self"], "Retry-After": "1"}
    return json_answer(view, 202, {**headers, **({"Idempotent-Replayed": "true"} if repeated else {})})


def _order(runtime: Runtime, key: ApiKey, body: ReplayBody) -> Replay:
    """The verb's order. Raises Problem that names the field."""
    if (body.ids is None) == (body.filter is None):
        raise field_problem("", "name either ids or a filter")
    if body.filter is not None and body.filter.model_fields_set <= {"disposition"}:
        raise field_problem("/filter", "an empty filter would replay everything: name at least one thing more")
    if body.filter is not None and body.filter.workflow is not None:
        allowed(key, body.filter.workflow)
    if body.version is not None:
        _refuse_unknown_version(runtime, body.filter, body.version)
    workflows = tuple(sorted(key.workflows)) if key.workflows is not None else None
    which = _which(body.filter, workflows) if body.filter else _named(body.ids or [], workflows)
    return Replay(which, from_start=body.from_ == "start", version=body.version)


def _refuse_unknown_version(runtime: Runtime, wanted: DeadLettersFilter | None, version: str) -> None:
    if wanted is None or wanted.workflow is None:
        raise field_problem("/version", "a version needs a filter that names the workflow")
    if not has_version(runtime, wanted.workflow, version):
        raise field_problem("/version", f"{wanted.workflow} has no version {version!r}.")


def _which(wanted: DeadLettersFilter, workflows: tuple[str, ...] | None) -> Which:
    return Which(
        disposition=Disposition(wanted.disposition),
        workflow=wanted.workflow,
        version=wanted.version,
        step=wanted.step,
        error_class=wanted.error_class,
        error_code=wanted.error_code,
        tag=wanted.tag,
        since=wanted.since,
        until=wanted.until,
        workflows=workflows,
    )


def _named(texts: list[str], workflows: tuple[str, ...] | None) -> Which:
    """Failed jobs of either disposition, each named once."""
    job_ids: tuple[UUID, ...] = tuple(dict.fromkeys(job_id_of(text) for text in texts))
    return Which(disposition=None, job_ids=job_ids, workflows=workflows)


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode().rstrip("=")


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        return min(int(base64.b64decode(cursor + "==", altchars=b"-_", validate=True)), _MOST_OFFSET)
    except ValueError:
        raise Problem("invalid_cursor", "The cursor is not one of ours: start without it.") from None
