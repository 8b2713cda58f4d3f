"""Jobs: submit, read, list, output, cancel, retry, trace."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from app.domain.errors import Problem
from app.domain.job import Job
from app.jobs.check import parse
from app.jobs.receipt import receipt
from app.jobs.timeline import timeline
from app.jobs.view import job_view, summary_view
from app.routers import submission
from app.routers.deps import (
    JsonDep,
    ReaderDep,
    RuntimeDep,
    WriterDep,
    field_problem,
    job_id_of,
    json_body,
    reader,
    runtime_of,
    writer,
)
from app.routers.headers import expected_revision, known_tags, wants_stream, wish_of
from app.routers.listing import next_link, next_page, wanted
from app.routers.once import once
from app.routers.query import documented, query_of
from app.routers.reply import ClientLeft, etag_of, job_answer, json_answer, kept, not_modified, unless_left
from app.routers.schemas import CancelBody, GetQuery, ListQuery, RetryBody, SubmitBody, SubmitQuery
from app.routers.timing import time_job, timed
from app.routers.workflows import allowed, has_version, workflow_for
from app.wiring import Runtime

router = APIRouter(prefix="/v1", tags=["jobs"])
_UNKEPT = {"Cache-Control": "private, no-store"}


@router.post(
    "/workflows/{workflow}/jobs",
    operation_id="jobs.submit",
    summary="Submit a job",
    status_code=202,
    openapi_extra=documented(SubmitQuery),
)
async def submit(request: Request, workflow: str) -> Response:
    """Accept a job durably: 202 at once, 201 when `Prefer: wait=N` saw its end; a repeated key gives the same job.

    With `Accept: text/event-stream` the answer is 200 and the job's events, from its submit to its end.
    """
    key, runtime = await writer(request), runtime_of(request)
    body, query = await json_body(request), query_of(request, SubmitQuery)
    found, streamed = workflow_for(runtime, key, workflow, query.version), wants_stream(request)
    if query.validate_only:
        if streamed:
            raise Problem("not_streamable", "A dry run has no events: accept application/json.")
        return await submission.dry_run(request, runtime, key, found, body)
    parsed = parse(SubmitBody, body)
    accepted = await submission.accept(request, runtime, key, found, parsed, body)
    act = submission.stream if streamed else submission.answer
    return await act(request, runtime, found, accepted, parsed.on_disconnect)


@router.get("/jobs", operation_id="jobs.list", summary="List jobs")
async def list_jobs(
    request: Request, key: ReaderDep, runtime: RuntimeDep, query: Annotated[ListQuery, Query()]
) -> Response:
    """Newest first, without input and output; filter by any field, and by `metadata.KEY=value`."""
    given = request.query_params.multi_items()
    jobs = await timed(request, "store", runtime.reads.page(key.project_id, wanted(query, given), query.limit + 1))
    page, cursor = next_page(jobs, query.limit)
    link = {"Link": next_link(f"{runtime.base_url}/v1/jobs", given, cursor)} if cursor else {}
    data = [summary_view(job, runtime.base_url) for job in page]
    found = {"data": data, "next_cursor": cursor, "has_more": cursor is not None}
    return json_answer(found, headers={**_UNKEPT, **link})


@router.get("/jobs/{job_id}", operation_id="jobs.get", summary="Read a job", openapi_extra=documented(GetQuery))
async def get_job(request: Request, job_id: str) -> Response:
    """The job. `If-None-Match` answers 304 while nothing changed; `Prefer: wait=N` holds the answer until it did."""
    key, runtime, query = await reader(request), runtime_of(request), query_of(request, GetQuery)
    own, wish = job_id_of(job_id), wish_of(request, runtime.settings.http.max_wait_s)
    if query.include is not None:
        act = _explained if query.include == "queue" else _with_receipt
        return await timed(request, "store", act(runtime, key.project_id, own))
    if wish.seconds is None:
        return await _at_once(request, runtime, key.project_id, own)
    try:
        job = kept(runtime, await unless_left(request, _moved(request, runtime, key.project_id, own, wish.seconds)))
    except ClientLeft:
        return Response(status_code=204)
    return not_modified(request, job.revision, wish.applied) or await job_answer(runtime, job, 200, wish.applied)


@router.get("/jobs/{job_id}/output", operation_id="jobs.output", summary="Read a job's output")
async def get_output(request: Request, job_id: str, key: ReaderDep, runtime: RuntimeDep) -> Response:
    """The raw output, as the workflow returned it."""
    found = await timed(request, "store", runtime.reads.job(key.project_id, job_id_of(job_id)))
    job = kept(runtime, found)
    if not job.status.terminal:
        retry = await runtime.latency.retry_after_s(job)
        raise Problem("job_not_finished", f"The job is {job.status}.", retry_after_s=retry)
    if job.output is None:
        raise Problem("state_conflict", f"The job is {job.status}: it has no output.")
    whole = Response(job.output, 200, {"ETag": etag_of(job), "Cache-Control": "private, no-cache"})
    whole.headers["Content-Type"] = "application/json"
    return not_modified(request, job.revision) or whole


@router.get("/jobs/{job_id}/trace", operation_id="jobs.trace", summary="Read a job's timeline")
async def get_trace(request: Request, job_id: str, key: ReaderDep, runtime: RuntimeDep) -> Response:
    """Attempts, steps, calls, waits and webhooks with start, end, inputs, outputs, tokens and cost."""
    found = await timed(request, "store", runtime.reads.trace(key.project_id, job_id_of(job_id)))
    kept(runtime, found.job if found else None)
    return json_answer(timeline(found) if found else {}, headers=_UNKEPT)


@router.post(
    "/jobs/{job_id}/cancel",
    operation_id="jobs.cancel",
    summary="Cancel a job",
)
async def cancel(request: Request, job_id: str, key: WriterDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """200 when the job has ended, by this or before; 202 when its worker was told."""
    own = job_id_of(job_id)

    async def end() -> bool:
        parse(CancelBody, body)
        canceling = runtime.control.cancel(key.project_id, own, expected_revision(request), by=key.id)
        return await timed(request, "store", canceling)

    _, headers = await once(request, runtime, key, body, end)
    job = kept(runtime, await runtime.reads.job(key.project_id, own))
    return await job_answer(runtime, job, 200 if job.status.terminal else 202, headers)


@router.post(
    "/jobs/{job_id}/retry",
    operation_id="jobs.retry",
    summary="Run an ended job again",
    status_code=202,
)
async def retry(request: Request, job_id: str, key: WriterDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """A new attempt of a failed, canceled or expired job under the same id; finished steps do not run again."""
    own, parsed = job_id_of(job_id), parse(RetryBody, body)
    job = kept(runtime, await runtime.reads.job(key.project_id, own))
    allowed(key, job.workflow)
    if parsed.version is not None and not has_version(runtime, job.workflow, parsed.version):
        raise field_problem("/version", f"{job.workflow} has no version {parsed.version!r}.")
    retrying = runtime.control.retry(
        key.project_id,
        own,
        job.lane,
        version=parsed.version,
        from_start=parsed.from_ == "start",
        revision=expected_revision(request),
        idempotency=submission.idempotency_of(request, body),
        by=key.id,
    )
    replayed = await timed(request, "store", retrying)
    headers = {"Idempotent-Replayed": "true"} if replayed else {}
    job = kept(runtime, await runtime.reads.job(key.project_id, own))
    return await job_answer(runtime, job, 202, headers, located=True)


async def _explained(runtime: Runtime, project_id: UUID, job_id: UUID) -> Response:
    """The job with where it stands, which is no function of its revision: neither stored nor tagged."""
    job = kept(runtime, await runtime.reads.job(project_id, job_id))
    view = {**job_view(job, runtime.base_url), "queue": await runtime.explain.view(job)}
    return json_answer(view, headers=_UNKEPT)


async def _with_receipt(runtime: Runtime, project_id: UUID, job_id: UUID) -> Response:
    """The job with what it was charged for, which may come after its last revision."""
    found = await runtime.reads.trace(project_id, job_id)
    job = kept(runtime, found.job if found else None)
    charges = await runtime.money.ledger.of_job(job_id)
    view = {**job_view(job, runtime.base_url), "receipt": receipt(found, charges) if found else None}
    return json_answer(view, headers=_UNKEPT)


async def _at_once(request: Request, runtime: Runtime, project_id: UUID, job_id: UUID) -> Response:
    """A conditional read looks at the revision first, and mostly at nothing else."""
    head = await timed(request, "store", runtime.reads.head(project_id, job_id)) if known_tags(request) else None
    if head is not None and head.kept_at(runtime.clock.now()) and (same := not_modified(request, head.revision)):
        return same
    job = kept(runtime, await timed(request, "store", runtime.reads.job(project_id, job_id)))
    return await job_answer(runtime, job, 200)


async def _moved(request: Request, runtime: Runtime, project_id: UUID, job_id: UUID, seconds: float) -> Job | None:
    """The job at its next revision for a client that knows one, else at its end."""
    if known := known_tags(request):
        return await timed(request, "wait", runtime.wait.for_change(project_id, job_id, seconds, known))
    job = await timed(request, "wait", runtime.wait.for_end(project_id, job_id, seconds))
    time_job(request, job)
    return job
