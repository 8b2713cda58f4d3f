"""Workflows: what can be submitted, with the schemas of input and output."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from app.domain.errors import Problem
from app.engine.catalogue import UnknownWorkflow
from app.engine.workflow import Workflow
from app.jobs.view import time_view
from app.routers import docs
from app.routers.deps import ReaderDep, RuntimeDep
from app.routers.prefer import json_answer
from app.store.keys import ApiKey
from app.wiring import Runtime

router = APIRouter(prefix="/v1/workflows", tags=["workflows"])


@router.get("", operation_id="workflows.list", summary="List workflows", responses=docs.WORKFLOWS)
async def list_workflows(key: ReaderDep, runtime: RuntimeDep) -> Response:
    """Every workflow that this key may call, in its default version."""
    names = [name for name in runtime.catalogue.names() if key.workflows is None or name in key.workflows]
    return json_answer({"data": [await _view(runtime, key, runtime.catalogue.default(name)) for name in names]})


@router.get("/{workflow}", operation_id="workflows.get", summary="Read a workflow", responses=docs.WORKFLOW)
async def get_workflow(workflow: str, key: ReaderDep, runtime: RuntimeDep) -> Response:
    """JSON Schema of input and output, lane, SLA, recent latency, in the default version."""
    return json_answer(await _view(runtime, key, workflow_for(runtime, key, workflow, None)))


@router.get(
    "/{workflow}/versions/{version}",
    operation_id="workflows.version",
    summary="Read a version of a workflow",
    responses=docs.WORKFLOW,
)
async def get_version(workflow: str, version: str, key: ReaderDep, runtime: RuntimeDep) -> Response:
    """The same for one version."""
    return json_answer(await _view(runtime, key, workflow_for(runtime, key, workflow, version)))


def workflow_for(runtime: Runtime, key: ApiKey, name: str, version: str | None) -> Workflow[Any, Any]:
    """The workflow that this key may call. Raises Problem 403 or 404."""
    if key.workflows is not None and name not in key.workflows:
        raise Problem("workflow_not_allowed", f"This key may not call {name!r}.")
    try:
        return runtime.catalogue.get(name, version)
    except UnknownWorkflow as error:
        raise Problem("not_found", str(error)) from None


async def _view(runtime: Runtime, key: ApiKey, workflow: Workflow[Any, Any]) -> dict[str, Any]:
    recent = await runtime.latency.recent(key.project_id, workflow.name)
    return {
        "name": workflow.name,
        "object": "workflow",
        "version": workflow.version,
        "versions": list(runtime.catalogue.versions(workflow.name)),
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
        "price_basis": docs.estimate(recent),
    }
