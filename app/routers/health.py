"""Health: alive and ready; to HEAD too, which load balancers ask with."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.routers.deps import RuntimeDep
from app.routers.reply import json_answer

router = APIRouter(tags=["health"])


@router.head("/livez", include_in_schema=False)
@router.get("/livez", operation_id="health.live", summary="Is the process alive?")
async def livez() -> dict[str, str]:
    """Always 200 while the process answers."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", operation_id="health.ready", summary="Can it do its work?")
async def readyz(runtime: RuntimeDep) -> Response:
    """200 `ok`, 200 `degraded` without Redis (jobs are accepted all the same), 503 `away` without the database."""
    parts = await runtime.parts.reachable()
    status = "away" if parts["database"] != "ok" else "degraded" if parts["redis"] != "ok" else "ok"
    if runtime.draining:
        status = "draining"
    code = 503 if status in ("away", "draining") else 200
    return json_answer({"status": status, "parts": parts}, code, {"Cache-Control": "no-store"})
