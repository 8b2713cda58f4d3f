"""A submit between HTTP and the verb: its request, its repetition, its dry run, and the client that waits for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from fastapi import Request, Response

from app.domain import canonical, money
from app.domain.duration import seconds
from app.domain.errors import Problem
from app.domain.job import Job, JobWebhook
from app.engine.workflow import Workflow
from app.jobs.check import parse
from app.jobs.hook import job_webhook
from app.jobs.submit import Accepted
from app.jobs.wanted import Dedupe, SubmitRequest, new_job
from app.routers.deps import field_problem
from app.routers.events import place_of
from app.routers.headers import cache_wish, idempotency_key, last_event_id, wish_of
from app.routers.reply import ClientLeft, job_answer, json_answer, kept, location, unless_left
from app.routers.schemas import SubmitBody, WebhookBody
from app.routers.sse import EventStream
from app.routers.timing import time_job, timed
from app.routers.workflows import estimate, sunset_headers
from app.store.database import StoreAway
from app.store.keys import ApiKey
from app.store.reads import Recent
from app.store.submissions import IdempotencyKey, Outcome
from app.telemetry.traces import root
from app.wiring import Runtime

# A start further ahead than this is a slip of the pen.
_HORIZON = timedelta(days=3660)


async def accept(
    request: Request, runtime: Runtime, key: ApiKey, workflow: Workflow[Any, Any], body: SubmitBody, raw: Any
) -> Accepted:
    """The job that answers. Whatever a door says now, a repetition is answered by the job it once made."""
    try:
        wanted = await _submit_request(request, runtime, key, workflow, body, raw)
        return await timed(request, "store", runtime.submit.submit(wanted))
    except Problem:
        repeated = idempotency_of(request, raw)
        earlier = await runtime.submit.repeated(key.project_id, repeated) if repeated else None
        if earlier is None:
            raise
        return earlier


async def answer(
    request: Request, runtime: Runtime, workflow: Workflow[Any, Any], accepted: Accepted, policy: str | None
) -> Response:
    """201 for a job that ended within the client's wait, else 202."""
    job, wish = kept(runtime, accepted.job), wish_of(request, runtime.settings.http.max_wait_s)
    if wish.seconds is not None and not job.status.terminal:
        try:
            job = await _waited(request, runtime, job, wish.seconds)
        except ClientLeft:
            await _left_behind(request, runtime, accepted, policy)
            return Response(status_code=202)
    headers = {**wish.applied, **_repetition(accepted), **_cache_status(accepted), **sunset_headers(workflow)}
    return await job_answer(runtime, job, 201 if job.status.terminal else 202, headers, located=True)


async def stream(
    request: Request, runtime: Runtime, workflow: Workflow[Any, Any], accepted: Accepted, policy: str | None
) -> Response:
    """The job's events. A stream that has begun is an answer: who leaves it may come back, unless `policy` is other."""
    job, known = kept(runtime, accepted.job), last_event_id(request)
    if await request.is_disconnected():
        await _left_behind(request, runtime, accepted, policy)
        return Response(status_code=202)
    after = await place_of(runtime, job.project_id, job.id, known)
    told = {**_repetition(accepted), **_cache_status(accepted)}
    headers = {"Location": location(runtime, job), **told, **sunset_headers(workflow)}
    left = partial(_left_behind, request, runtime, accepted, policy or "continue")
    return EventStream(runtime.watch.follow(job.project_id, job.id, after, resumed=known is not None), headers, left)


async def dry_run(request: Request, runtime: Runtime, key: ApiKey, workflow: Workflow[Any, Any], raw: Any) -> Response:
    """What a submit would meet; spends nothing."""
    errors: list[dict[str, str]] = []
    lane, hit = workflow.lane, False
    try:
        body = parse(SubmitBody, raw)
        lane = body.lane or lane
        wanted = await _submit_request(request, runtime, key, workflow, body, raw)
        found = await runtime.submit.find(wanted, new_job(wanted, runtime.clock.now(), {}))
        hit = found.known is not None
    except Problem as refused:
        if not refused.errors:
            raise
        errors = [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in refused.errors]
    recent = await runtime.latency.recent(key.project_id, workflow.name)
    told = {
        "valid": not errors,
        "errors": errors,
        "estimate": estimate(recent),
        "cache_hit": hit,
        "queue_eta_s": await _queue_eta_s(runtime, lane, recent),
    }
    return json_answer(told, headers=sunset_headers(workflow))


async def _queue_eta_s(runtime: Runtime, name: str, recent: Recent | None) -> float | None:
    """How long what is due in the lane will take; None where nothing has ended of late."""
    lane = (await runtime.overview.look()).lane(name)
    eta_s = lane.eta_s(lane.due, lane.run_s or (recent.p50_s if recent else None))
    return None if eta_s is None else round(eta_s, 1)


def idempotency_of(request: Request, raw: Any) -> IdempotencyKey | None:
    """The request's key and the fingerprint of its query and body. Raises Problem `invalid_header`."""
    key = idempotency_key(request)
    if key is None:
        return None
    query = sorted(request.query_params.multi_items())
    scope = f"{request.method} {request.scope['path']}"
    return IdempotencyKey(scope, key, canonical.digest([list(pair) for pair in query], raw))


async def _submit_request(
    request: Request, runtime: Runtime, key: ApiKey, workflow: Workflow[Any, Any], body: SubmitBody, raw: Any
) -> SubmitRequest:
    """The verb's request. Raises Problem that names the field."""
    return SubmitRequest(
        project_id=key.project_id,
        key_id=key.first_id,
        test_mode=key.mode == "test",
        simulated=runtime.settings.simulated or key.mode == "test",
        workflow=workflow,
        input=body.input,
        trace=root(request.headers.get("traceparent")),
        priority=body.priority,
        lane=body.lane,
        run_at=_start(body, runtime.clock.now()),
        start_within_s=body.start_within,
        finish_within_s=body.finish_within,
        retain_s=body.retain_for,
        max_cost_nanos=_cap(body),
        dedupe=_dedupe(body, workflow),
        on_disconnect=body.on_disconnect,
        tags=tuple(body.tags),
        metadata=body.metadata,
        webhook=await _webhook(runtime, key, body.webhook) if body.webhook else None,
        idempotency=idempotency_of(request, raw),
        off_peak=body.off_peak,
        ordering_key=body.ordering_key,
        cache=cache_wish(request),
    )


def _start(body: SubmitBody, now: datetime) -> datetime | None:
    """A time that has passed is now: it neither overtakes others nor has run down the job's own clocks."""
    if body.run_at is None or body.run_at <= now:
        return None
    if body.run_at > now + _HORIZON:
        raise field_problem("/run_at", f"this is more than {_HORIZON.days} days ahead")
    return body.run_at


def _cap(body: SubmitBody) -> int | None:
    if body.max_cost_usd is None:
        return None
    if body.max_cost_usd == 0:
        raise field_problem(
            "/max_cost_usd", "0 allows no call to a model: raise it or leave it out", "max_cost_too_low"
        )
    return money.nanos(body.max_cost_usd)


def _dedupe(body: SubmitBody, workflow: Workflow[Any, Any]) -> Dedupe | None:
    if body.dedupe is not None:
        return Dedupe(body.dedupe.key, body.dedupe.within, body.dedupe.on_duplicate == "reject")
    return Dedupe(within_s=seconds(workflow.dedupe)) if workflow.dedupe is not None else None


async def _webhook(runtime: Runtime, key: ApiKey, body: WebhookBody) -> JobWebhook:
    settings = runtime.settings
    return await job_webhook(
        body.url,
        body.events,
        body.secret,
        project_id=key.project_id,
        pepper=settings.pepper.get_secret_value(),
        allow_private=settings.webhooks.allow_private,
    )


def _repetition(accepted: Accepted) -> dict[str, str]:
    if accepted.outcome is Outcome.REPLAYED:
        return {"Idempotent-Replayed": "true"}
    return {"Laneway-Deduplicated": "true"} if accepted.outcome is Outcome.DUPLICATE else {}


def _cache_status(accepted: Accepted) -> dict[str, str]:
    """What the cache of outputs did for a new job (RFC 9211)."""
    return {"Cache-Status": accepted.found.status} if accepted.found is not None else {}


async def _waited(request: Request, runtime: Runtime, job: Job, seconds: float) -> Job:
    """The job at the end of the wait; it is accepted, whatever becomes of the wait. Raises ClientLeft."""
    waiting = unless_left(request, runtime.wait.for_end(job.project_id, job.id, seconds, job))
    try:
        waited = await timed(request, "wait", waiting)
    except StoreAway:
        return job
    time_job(request, waited)
    return waited or job


async def _left_behind(request: Request, runtime: Runtime, accepted: Accepted, policy: str | None) -> None:
    """Follow the client's wish, or the default; a job that was only met belongs to another client."""
    if accepted.outcome is Outcome.DUPLICATE:
        return
    job = accepted.job
    if policy is None and idempotency_key(request) is not None:
        policy = "continue"
    if policy is not None:
        await runtime.control.left_behind(job.project_id, job.id, policy)
        return
    head = await runtime.reads.head(job.project_id, job.id)
    if head is not None and not head.status.terminal:
        await runtime.control.abandoned(job.project_id, job.id, head.status)
