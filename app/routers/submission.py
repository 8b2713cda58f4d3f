"""From an HTTP submit to the verb's request: the checks that need the caller, not the workflow."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from app.domain import canonical, money
from app.domain.duration import seconds
from app.domain.errors import Problem
from app.domain.job import JobWebhook
from app.engine.workflow import Workflow
from app.jobs.hook import job_webhook
from app.jobs.submit import Dedupe, SubmitRequest
from app.routers.deps import idempotency_key
from app.routers.schemas import SubmitBody, WebhookBody
from app.store.keys import ApiKey
from app.store.submissions import IdempotencyKey
from app.telemetry.traces import root
from app.wiring import Runtime


async def submit_request(
    request: Request, runtime: Runtime, key: ApiKey, workflow: Workflow[Any, Any], body: SubmitBody, raw: Any
) -> SubmitRequest:
    """The verb's request. Raises Problem that names the field."""
    return SubmitRequest(
        project_id=key.project_id,
        key_id=key.id,
        test_mode=key.mode == "test",
        simulated=runtime.settings.simulated or key.mode == "test",
        workflow=workflow,
        input=body.input,
        trace=root(request.headers.get("traceparent")),
        priority=body.priority,
        lane=body.lane,
        run_at=body.run_at,
        start_within_s=body.start_within,
        finish_within_s=body.finish_within,
        retain_s=body.retain_for,
        max_cost_nanos=_cap(body),
        dedupe=_dedupe(body, workflow),
        on_disconnect=body.on_disconnect,
        tags=tuple(body.tags),
        metadata=body.metadata,
        webhook=await _webhook(runtime, key, body.webhook) if body.webhook else None,
        idempotency=_idempotency(request, raw),
    )


def _cap(body: SubmitBody) -> int | None:
    if body.max_cost_usd is None:
        return None
    if body.max_cost_usd == 0:
        raise Problem("max_cost_too_low", "max_cost_usd is 0: no model may be called. Raise it or leave it out.")
    return money.nanos(body.max_cost_usd)


def _dedupe(body: SubmitBody, workflow: Workflow[Any, Any]) -> Dedupe | None:
    if body.dedupe is not None:
        return Dedupe(body.dedupe.key, body.dedupe.within, body.dedupe.on_duplicate == "reject")
    return Dedupe(within_s=seconds(workflow.dedupe)) if workflow.dedupe is not None else None


def _idempotency(request: Request, raw: Any) -> IdempotencyKey | None:
    key = idempotency_key(request)
    if key is None:
        return None
    query = sorted(request.query_params.multi_items())
    scope = f"{request.method} {request.url.path}"
    return IdempotencyKey(scope, key, canonical.digest([list(pair) for pair in query], raw))


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
