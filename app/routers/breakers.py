"""Breakers of the parts that steps name: their states, and the lever that operators have."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.gateway.breakers.dependency import BreakerLook, Dependency
from app.jobs.check import parse
from app.jobs.view import time_view
from app.routers.deps import JsonDep, OperatorDep, RuntimeDep, needs
from app.routers.once import answer_once
from app.routers.pool_shapes import BreakerBody
from app.routers.reply import json_answer
from app.routers.timing import timed
from app.store.keys import ApiKey

router = APIRouter(prefix="/v1/breakers", tags=["breakers"])
SteererDep = Annotated[ApiKey, Depends(needs("ops:write"))]
_UNKEPT = {"Cache-Control": "private, no-store"}


@router.get("", operation_id="breakers.list", summary="Breakers that steps have asked")
async def list_breakers(request: Request, key: OperatorDep, runtime: RuntimeDep) -> Response:
    """Those of the key's project and mode, by name: `Policy(breaker=NAME)`. Pools of providers have their own."""
    found = await timed(request, "breakers", runtime.named_breakers.all(key.project_id, key.mode == "test"))
    return json_answer({"data": [breaker_view(one) for one in found]}, headers=_UNKEPT)


@router.post("/{name:path}", operation_id="breakers.force", summary="Force a breaker")
async def force(request: Request, name: str, key: SteererDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """`open`: no try, and no probe; `closed`: whatever fails; `auto`: as tries go."""
    dependency = Dependency(key.project_id, key.mode == "test", name)

    async def forced() -> dict[str, Any]:
        look = runtime.named_breakers.force(dependency, key.id, parse(BreakerBody, body).state)
        return breaker_view(await timed(request, "breakers", look))

    return await answer_once(request, runtime, key, body, forced)


def breaker_view(look: BreakerLook) -> dict[str, Any]:
    """A breaker's JSON."""
    return {
        "name": look.name,
        "state": look.state,
        "forced": look.forced,
        "since": time_view(look.since),
        "next_probe_at": time_view(look.next_probe_at),
    }
