"""The cache: what is known is dropped by tags."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.jobs.check import parse
from app.jobs.view import time_view
from app.routers.deps import JsonDep, RuntimeDep, needs
from app.routers.once import answer_once
from app.routers.schemas import InvalidateBody
from app.routers.timing import timed
from app.store.keys import ApiKey

router = APIRouter(prefix="/v1/cache", tags=["cache"])


@router.post("/invalidate", operation_id="cache.invalidate", summary="Drop cached results")
async def invalidate(
    request: Request, key: Annotated[ApiKey, Depends(needs("ops:write"))], runtime: RuntimeDep, body: JsonDep
) -> Response:
    """Everything of the project that was kept under one of these tags is void, however much it is.

    What is being made at this moment is given to the job that makes it, and to no other. 503 while the cache is away.
    """

    async def drop() -> dict[str, Any]:
        tags = parse(InvalidateBody, body).tags
        at = await timed(request, "cache", runtime.invalidation.drop(key.project_id, key.id, tags))
        return {"object": "cache_invalidation", "tags": tags, "at": time_view(at)}

    return await answer_once(request, runtime, key, body, drop)
