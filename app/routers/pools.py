"""Pools of providers: what was learned of their limits, and the levers that operators have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.jobs.check import parse
from app.ops.pools import PoolLook
from app.routers.deps import JsonDep, OperatorDep, RuntimeDep, needs
from app.routers.once import answer_once
from app.routers.pool_shapes import AnnounceBody, BreakerBody, LeverBody, PauseBody
from app.routers.reply import json_answer
from app.routers.timing import timed
from app.store.keys import ApiKey
from app.wiring import Runtime

router = APIRouter(prefix="/v1/pools", tags=["pools"])
SteererDep = Annotated[ApiKey, Depends(needs("ops:write"))]
_UNKEPT = {"Cache-Control": "private, no-store"}
_Value = float | str | Mapping[str, int] | None


@router.get("", operation_id="pools.list", summary="Pools and what is known of their limits")
async def list_pools(request: Request, key: OperatorDep, runtime: RuntimeDep) -> Response:
    """Each pool of models that share a limit: its state, its rate, its limits, calls in flight and in line."""
    found = await timed(request, "pools", runtime.pools.all())
    return json_answer({"data": [pool_view(one) for one in found]}, headers=_UNKEPT)


@router.post("/{pool_id:path}/pause", operation_id="pools.pause", summary="Send nothing to a pool")
async def pause(request: Request, pool_id: str, key: SteererDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """No call begins, for a while or until it is resumed; those in flight end, jobs that need it wait."""
    return await _steered(request, runtime, key, pool_id, "pause", body, lambda: parse(PauseBody, body).for_)


@router.post("/{pool_id:path}/resume", operation_id="pools.resume", summary="End a pause or a drain")
async def resume(request: Request, pool_id: str, key: SteererDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """Who waits in line goes at once; jobs that were parked come a second or so later."""
    return await _steered(request, runtime, key, pool_id, "resume", body, lambda: _nothing(body))


@router.post("/{pool_id:path}/drain", operation_id="pools.drain", summary="Let a pool run empty")
async def drain(request: Request, pool_id: str, key: SteererDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """Until it is resumed no call begins; it has run empty when nothing is in flight."""
    return await _steered(request, runtime, key, pool_id, "drain", body, lambda: _nothing(body))


@router.post("/{pool_id:path}/announce", operation_id="pools.announce", summary="Say what a pool's limits are")
async def announce(request: Request, pool_id: str, key: SteererDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """Limits that are taken over those of the configuration; an empty body takes the configuration's again."""
    return await _steered(
        request,
        runtime,
        key,
        pool_id,
        "announce",
        body,
        lambda: parse(AnnounceBody, body).model_dump(exclude_none=True),
    )


@router.post("/{pool_id:path}/breaker", operation_id="pools.breaker", summary="Force a pool's breaker")
async def breaker(request: Request, pool_id: str, key: SteererDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """`open`: no call, and no probe; `closed`: whatever fails; `auto`: as calls go."""
    return await _steered(request, runtime, key, pool_id, "breaker", body, lambda: parse(BreakerBody, body).state)


@router.post("/{pool_id:path}/forget", operation_id="pools.forget", summary="Forget what was learned of a pool")
async def forget(request: Request, pool_id: str, key: SteererDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """Its limits are found anew, from a slow start; what is announced, a pause and the breaker stay."""
    return await _steered(request, runtime, key, pool_id, "forget", body, lambda: _nothing(body))


async def _steered(
    request: Request, runtime: Runtime, key: ApiKey, pool_id: str, act: str, body: Any, read: Callable[[], _Value],
) -> Response:  # fmt: skip
    """Move the lever, once for each idempotency key; `read` takes the lever's value from the body."""

    async def steer() -> dict[str, Any]:
        steering = runtime.pools.steer(key.project_id, key.id, pool_id, act, read())
        return pool_view(await timed(request, "pools", steering))

    return await answer_once(request, runtime, key, body, steer)


def _nothing(body: Any) -> None:
    parse(LeverBody, body)


def pool_view(look: PoolLook) -> dict[str, Any]:
    """A pool's JSON."""
    known = look.known or {}
    return {
        "id": look.name,
        "provider": look.name.partition("/")[0],
        "models": list(look.models),
        "state": look.state,
        "reason": look.reason,
        "blocked_until": look.blocked_until,
        "in_flight": look.in_flight,
        "most_in_flight": known.get("cap"),
        "rate_per_s": known.get("rate_per_s"),
        "limits": [asdict(limit) for limit in look.limits],
        "waiting": look.waiting,
    }
