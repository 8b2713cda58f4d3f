"""Workflows: what can be submitted, with the schemas of input and output."""

from __future__ import annotations

from email.utils import format_datetime
from typing import Any

from fastapi import APIRouter, Response

from app.domain import money
from app.domain.errors import Problem
from app.engine.catalogue import UnknownWorkflow
from app.engine.workflow import Workflow
from app.jobs.view import time_view
from app.routers.deps import ReaderDep, RuntimeDep
from app.routers.reply import json_answer
from app.store.keys import ApiKey
from app.store.reads import Recent
from app.wiring import Runtime

router = APIRouter(prefix="/v1/workflows", tags=["workflows"])


@router.get("", operation_id="workflows.list", summary="List workflows")
async def list_workflows(key: ReaderDep, runtime: RuntimeDep) -> Response:
    """Every workflow that this key may call, in its default version."""
    names = [name for name in runtime.catalogue.names() if key.workflows is None or name in key.workflows]
    return json_answer({"data": [await _view(runtime, key, runtime.catalogue.default(name)) for name in names]})


@router.get("/{workflow}", operation_id="workflows.get", summary="Read a workflow")
async def get_workflow(workflow: str, key: ReaderDep, runtime: RuntimeDep) -> Response:
    """JSON Schema of input and output, lane, SLA, recent latency, in the default version."""
    found = workflow_for(runtime, key, workflow, None)
    return json_answer(await _view(runtime, key, found), headers=sunset_headers(found))


@router.get(
    "/{workflow}/versions/{version}",
    operation_id="workflows.version",
    summary="Read a version of a workflow",
)
async def get_version(workflow: str, version: str, key: ReaderDep, runtime: RuntimeDep) -> Response:
    """The same for one version."""
    found = workflow_for(runtime, key, workflow, version)
    return json_answer(await _view(runtime, key, found), headers=sunset_headers(found))


def workflow_for(runtime: Runtime, key: ApiKey, name: str, version: str | None) -> Workflow[Any, Any]:
    """The workflow that this key may call. Raises Problem 403 or 404."""
    allowed(key, name)
    try:
        return runtime.catalogue.get(name, version)
    except UnknownWorkflow as error:
        raise Problem("not_found", str(error)) from None


def has_version(runtime: Runtime, name: str, version: str) -> bool:
    """Whether the workflow is still there, in this version."""
    try:
        runtime.catalogue.get(name, version)
    except UnknownWorkflow:
        return False
    return True


def allowed(key: ApiKey, name: str) -> None:
    """Raises Problem 403 when the key is bound to other workflows."""
    if key.workflows is not None and name not in key.workflows:
        raise Problem("workflow_not_allowed", f"This key may not call {name[:100]!r}.")


def sunset_headers(workflow: Workflow[Any, Any]) -> dict[str, str]:
    """`Deprecation` (RFC 9745) and `Sunset` (RFC 8594) of a version that goes."""
    headers = {}
    if workflow.deprecated is not None:
        headers["Deprecation"] = f"@{int(workflow.deprecated.timestamp())}"
    if workflow.sunset is not None:
        headers["Sunset"] = format_datetime(workflow.sunset, usegmt=True)
    return headers


def estimate(recent: Recent | None) -> dict[str, Any]:
    """What a job is expected to take, from its workflow's last ones."""
    return {
        "input_tokens": recent.input_tokens if recent else None,
        "cost_usd": money.show(recent.cost_nanos) if recent else None,
        "duration_s": round(recent.p50_s, 3) if recent else None,
    }


async def _view(runtime: Runtime, key: ApiKey, workflow: Workflow[Any, Any]) -> dict[str, Any]:
    recent = await runtime.latency.recent(key.project_id, workflow.name)
    return {
        "name": workflow.name,
        "object": "workflow",
        "version": workflow.version,
        "versions": runtime.catalogue.versions(workflow.name),
        "description": workflow.description,
        "lane": workflow.lane,
        "sla_s": workflow.sla_s,
        "timeout_s": workflow.timeout_s,
        "retain_s": workflow.retain_s,
        "deprecated": time_view(workflow.deprecated),
        "sunset": time_view(workflow.sunset),
        "input_schema": workflow.input_schema,
        "output_schema": workflow.output_schema,
        "recent": {"jobs": recent.count, "p50_s": recent.p50_s, "p95_s": recent.p95_s} if recent else None,
        "price_basis": estimate(recent),
    }
