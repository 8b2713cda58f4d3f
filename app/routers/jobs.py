"""Jobs: submit, read, list, output, cancel, retry, trace."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.domain.errors import Problem
from app.domain.job import Job, Status
from app.jobs.check import parse, validated
from app.jobs.submit import Accepted
from app.jobs.timeline import timeline
from app.jobs.view import job_view
from app.routers import docs
from app.routers.deps import (
    JsonDep,
    ReaderDep,
    RuntimeDep,
    WriterDep,
    field_problem,
    idempotency_key,
    if_match_revision,
    job_id_of,
    preferred_wait_s,
)
from app.routers.errors import whole_seconds
from app.routers.listing import next_page, wanted
from app.routers.prefer import Wish, etag_of, job_answer, json_answer, wait_unless_left
from app.routers.schemas import ListQuery, RetryBody, SubmitBody
from app.routers.submission import submit_request
from app.routers.workflows import workflow_for
from app.store.keys import ApiKey
from app.store.submissions import Outcome
from app.wiring import Runtime

router = APIRouter(prefix="/v1", tags=["jobs"])


@router.post(
    "/workflows/{workflow}/jobs",
    operation_id="jobs.submit",
    summary="Submit a job",
    status_code=202,
    responses=docs.SUBMIT,
    openapi_extra=docs.body(SubmitBody, docs.SUBMIT_EXAMPLE),
)
async def submit(
    request: Request,
    workflow: str,
    key: WriterDep,
    runtime: RuntimeDep,
    body: JsonDep,
    version: str | None = None,
    validate_only: bool = False,
) -> Response:
    """Accept a job durably: 202 at once, 201 when `Prefer: wait=N` saw its end; a repeated key gives the same job."""
    found = workflow_for(runtime, key, workflow, version)
    parsed = parse(SubmitBody, body)
    if validate_only:
        return await _dry_run(runtime, key, found.name, found.version, parsed)
    accepted = await runtime.submit.submit(await submit_request(request, runtime, key, found, parsed, body))
    return await _answer(request, runtime, accepted, parsed.on_disconnect)


@router.get("/jobs", operation_id="jobs.list", summary="List jobs", responses=docs.LIST)
async def list_jobs(
    request: Request, key: ReaderDep, runtime: RuntimeDep, query: Annotated[ListQuery, Query()]
) -> Response:
    """Newest first; filter by any field, and by `metadata.KEY=value`."""
    jobs = await runtime.reads.page(key.project_id, wanted(query, request.query_params), query.limit + 1)
    page, cursor = next_page(jobs, query.limit)
    headers = {"Cache-Control": "private, no-store"}
    if cursor:
        headers["Link"] = f'<{request.url.include_query_params(cursor=cursor)}>; rel="next"'
    data = [job_view(job, runtime.base_url) for job in page]
    return json_answer({"data": data, "next_cursor": cursor, "has_more": cursor is not None}, headers=headers)


@router.get("/jobs/{job_id}", operation_id="jobs.get", summary="Read a job", responses=docs.JOB)
async def get_job(request: Request, job_id: str, key: ReaderDep, runtime: RuntimeDep) -> Response:
    """The job. `If-None-Match` answers 304 while nothing changed; `Prefer: wait=N` holds the answer until it did."""
    own = job_id_of(job_id)
    known = request.headers.get("if-none-match")
    wish = Wish(preferred_wait_s(request, runtime.settings.http.max_wait_s))
    if wish.seconds is not None:
        job = await _long_poll(runtime, key, job_id, known, wish.seconds)
    elif known and (head := await runtime.reads.head(key.project_id, own)) and known == f'"r{head[1]}"':
        return Response(status_code=304, headers={"ETag": known, "Cache-Control": "private, no-cache"})
    else:
        job = await runtime.reads.job(key.project_id, own)
    shown = present(job)
    if known == etag_of(shown):
        return Response(status_code=304, headers={"ETag": known, **wish.applied})
    return await job_answer(runtime, shown, 200, wish.applied)


@router.get("/jobs/{job_id}/output", operation_id="jobs.output", summary="Read a job's output", responses=docs.OUTPUT)
async def get_output(job_id: str, key: ReaderDep, runtime: RuntimeDep) -> Response:
    """The raw output, as the workflow returned it."""
    job = present(await runtime.reads.job(key.project_id, job_id_of(job_id)))
    if not job.status.terminal:
        retry = await runtime.latency.retry_after_s(job.project_id, job.workflow)
        raise Problem("job_not_finished", f"The job is {job.status}.", retry_after_s=whole_seconds(retry))
    if job.output is None:
        raise Problem("state_conflict", f"The job is {job.status}: it has no output.")
    return Response(job.output, 200, {"ETag": etag_of(job)}, media_type="application/json")


@router.get("/jobs/{job_id}/trace", operation_id="jobs.trace", summary="Read a job's timeline", responses=docs.TRACE)
async def get_trace(job_id: str, key: ReaderDep, runtime: RuntimeDep) -> Response:
    """Attempts, steps, calls, waits and webhooks with start, end, inputs, outputs, tokens and cost."""
    found = await runtime.reads.trace(key.project_id, job_id_of(job_id))
    if found is None:
        raise Problem("not_found", "There is no job with this id.")
    return json_answer(timeline(found), headers={"Cache-Control": "private, no-store"})


@router.post("/jobs/{job_id}/cancel", operation_id="jobs.cancel", summary="Cancel a job", responses=docs.CANCEL)
async def cancel(request: Request, job_id: str, key: WriterDep, runtime: RuntimeDep) -> Response:
    """200 when the job has ended, by this or before; 202 when its worker was told."""
    own = job_id_of(job_id)
    ended = await runtime.control.cancel(key.project_id, own, if_match_revision(request))
    job = present(await runtime.reads.job(key.project_id, own))
    return await job_answer(runtime, job, 200 if ended or job.status.terminal else 202)


@router.post(
    "/jobs/{job_id}/retry",
    operation_id="jobs.retry",
    summary="Run an ended job again",
    status_code=202,
    responses=docs.RETRY,
    openapi_extra=docs.body(RetryBody, {"from": "start"}),
)
async def retry(request: Request, job_id: str, key: WriterDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """A new attempt of a failed, canceled or expired job under the same id; finished steps do not run again."""
    own, parsed = job_id_of(job_id), parse(RetryBody, body)
    job = present(await runtime.reads.job(key.project_id, own))
    if parsed.version is not None and parsed.version not in runtime.catalogue.versions(job.workflow):
        raise field_problem("/version", f"{job.workflow} has no version {parsed.version!r}.")
    await runtime.control.retry(
        key.project_id,
        own,
        job.lane,
        version=parsed.version,
        from_start=parsed.from_ == "start",
        revision=if_match_revision(request),
    )
    return await job_answer(runtime, present(await runtime.reads.job(key.project_id, own)), 202, located=True)


def present(job: Job | None) -> Job:
    """The job. Raises Problem 404 without one."""
    if job is None:
        raise Problem("not_found", "There is no job with this id.")
    return job


async def _long_poll(runtime: Runtime, key: ApiKey, job_id: str, known: str | None, seconds: float) -> Job | None:
    own = job_id_of(job_id)
    if known and known.startswith('"r') and known[2:-1].isdigit():
        return await runtime.wait.for_change(key.project_id, own, seconds, int(known[2:-1]))
    return await runtime.wait.for_end(key.project_id, own, seconds)


async def _answer(request: Request, runtime: Runtime, accepted: Accepted, policy: str | None) -> Response:
    """201 for a job that ended within the client's wait, else 202."""
    job, wish = accepted.job, Wish(preferred_wait_s(request, runtime.settings.http.max_wait_s))
    headers = dict(wish.applied)
    if accepted.outcome is Outcome.REPLAYED:
        headers["Idempotent-Replayed"] = "true"
    if accepted.outcome is Outcome.DUPLICATE:
        headers["Laneway-Deduplicated"] = "true"
    if wish.seconds is not None and not job.status.terminal:
        waited = await wait_unless_left(request, runtime, job, wish.seconds)
        if waited is None:
            await _left_behind(request, runtime, job, policy)
            return Response(status_code=202)
        job = waited
    return await job_answer(runtime, job, 201 if job.status.terminal else 202, headers, located=True)


async def _left_behind(request: Request, runtime: Runtime, job: Job, policy: str | None) -> None:
    if policy is None and idempotency_key(request) is not None:
        policy = "continue"
    if policy is not None:
        await runtime.control.left_behind(job.project_id, job.id, policy)
        return
    head = await runtime.reads.head(job.project_id, job.id)
    if head is not None and not Status(head[0]).terminal:
        await runtime.control.abandoned(job.project_id, job.id, Status(head[0]))


async def _dry_run(runtime: Runtime, key: ApiKey, name: str, version: str, body: SubmitBody) -> Response:
    """What a submit would meet; spends nothing."""
    valid, errors = True, []
    try:
        validated(runtime.catalogue.get(name, version), body.input)
    except Problem as problem:
        valid, errors = False, [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in problem.errors]
    recent = await runtime.latency.recent(key.project_id, name)
    return json_answer({
        "valid": valid,
        "errors": errors,
        "estimate": docs.estimate(recent),
        "cache_hit": False,
        "queue_eta_s": None,
    })  # fmt: skip
