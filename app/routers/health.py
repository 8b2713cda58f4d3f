"""Health: alive, ready, and what the service is doing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from fastapi import APIRouter, Response

from app.bell.redis import AWAY
from app.routers.deps import OperatorDep, RuntimeDep
from app.routers.reply import json_answer
from app.store.database import StoreAway
from app.wiring import Runtime

router = APIRouter(tags=["health"])
_PATIENCE_S = 2.0


@router.get("/livez", operation_id="health.live", summary="Is the process alive?")
async def livez() -> dict[str, str]:
    """Always 200 while the process answers."""
    return {"status": "ok"}


@router.get("/readyz", operation_id="health.ready", summary="Can it do its work?")
async def readyz(runtime: RuntimeDep) -> Response:
    """200 `ok`, 200 `degraded` without Redis (jobs are accepted all the same), 503 `away` without the database."""
    parts = await _parts(runtime)
    status = "away" if parts["database"] != "ok" else "degraded" if parts["redis"] != "ok" else "ok"
    if runtime.draining:
        status = "draining"
    code = 503 if status in ("away", "draining") else 200
    return json_answer({"status": status, "parts": parts}, code, {"Cache-Control": "no-store"})


@router.get("/v1/status", operation_id="ops.status", summary="What the service is doing")
async def status(key: OperatorDep, runtime: RuntimeDep) -> Response:
    """Depth and oldest age by lane, processes, parts; says so when the provider is simulated."""
    return json_answer({
        "parts": await _parts(runtime),
        "lanes": await runtime.reads.lanes(),
        "processes": await runtime.workers.live(),
        "provider_simulated": runtime.settings.simulated,
    })  # fmt: skip


async def _parts(runtime: Runtime) -> dict[str, str]:
    checks: dict[str, Awaitable[Any]] = {"database": runtime.database.ping(), "redis": runtime.redis.ping()}
    return {name: await _check(check) for name, check in checks.items()}


async def _check(check: Awaitable[Any]) -> str:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await check
    except (StoreAway, *AWAY):
        return "away"
    return "ok"
