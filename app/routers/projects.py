"""Projects over HTTP: made, listed, read."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from app.domain import ids
from app.jobs.check import parse
from app.jobs.view import time_view
from app.routers.deps import JsonDep, RuntimeDep
from app.routers.keys import UNKEPT, AdminDep, id_in
from app.routers.listing import id_of
from app.routers.money_shapes import NewProjectBody, PageQuery
from app.routers.reply import id_page, json_answer
from app.routers.submission import idempotency_of
from app.store.projects import Project

router = APIRouter(prefix="/v1/projects", tags=["keys"])


@router.post("", operation_id="projects.create", summary="Make a project", status_code=201)
async def create_project(request: Request, key: AdminDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """To which jobs, keys and all else belong. Keys of the asking one's project administrate it."""
    name = parse(NewProjectBody, body).name
    project, repeated = await runtime.grants.make_project(key, name, idempotency_of(request, body))
    replayed = {"Idempotent-Replayed": "true"} if repeated else {}
    return json_answer(_view(project), 201, {**UNKEPT, **replayed})


@router.get("", operation_id="projects.list", summary="Projects")
async def list_projects(
    request: Request, key: AdminDep, runtime: RuntimeDep, query: Annotated[PageQuery, Query()]
) -> Response:
    """The key's own and those that were made from it, newest first; keys of the default project see all."""
    after = id_of(query.cursor) if query.cursor is not None else None
    found = await runtime.grants.projects(key, query.limit + 1, after)
    return id_page(request, f"{runtime.base_url}/v1/projects", found, query.limit, _view)


@router.get("/{project_id}", operation_id="projects.get", summary="A project")
async def get_project(project_id: str, key: AdminDep, runtime: RuntimeDep) -> Response:
    """One of those that are listed."""
    return json_answer(_view(await runtime.grants.project(key, id_in("prj", project_id, "project"))), headers=UNKEPT)


def _view(project: Project) -> dict[str, Any]:
    return {
        "id": ids.show("prj", project.id),
        "object": "project",
        "name": project.name,
        "created_at": time_view(project.created_at),
    }
