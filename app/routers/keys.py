"""API keys over HTTP: made, listed, given a budget, revoked."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from app.domain import ids, money
from app.domain.errors import Problem
from app.domain.period import Period
from app.jobs.check import parse
from app.jobs.view import time_view
from app.ops.access import SCOPES
from app.routers.deps import JsonDep, RuntimeDep, field_problem, needs
from app.routers.money_shapes import BudgetBody, KeyBody, NewKeyBody
from app.routers.reply import json_answer
from app.store.keys import ApiKey
from app.wiring import Runtime

router = APIRouter(prefix="/v1/api-keys", tags=["keys"])
AdminDep = Annotated[ApiKey, Depends(needs("keys:admin"))]
_UNKEPT = {"Cache-Control": "private, no-store"}


@router.post("", operation_id="keys.create", summary="Make a key", status_code=201)
async def create_key(key: AdminDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """A new key; its text is in this answer and nowhere else. A budget bounds what its jobs may spend.

    It may do no more than the key that asks: no further scope, and live only for a live one.
    """
    wanted = parse(NewKeyBody, body)
    project_id = key.project_id if wanted.project_id is None else _id("prj", wanted.project_id, "project")
    project = await runtime.access.project_name(project_id)
    if project is None:
        raise Problem("not_found", "There is no project with this id.")
    if unknown := sorted(set(wanted.scopes or ()) - set(SCOPES)):
        raise field_problem("/scopes", f"there is no scope {unknown[0][:50]!r}: use {', '.join(SCOPES)}")
    _no_more_than(key, wanted)
    _known_workflows(runtime, wanted.workflows or [])
    minted = await runtime.access.mint(
        wanted.name,
        project=project,
        scopes=sorted(key.scopes) if wanted.scopes is None else wanted.scopes,
        mode=wanted.mode,
        workflows=wanted.workflows,
        expires_at=wanted.expires_at,
        budget=_nanos(wanted.budget),
    )
    return json_answer({**_view(minted.key), "key": minted.text}, 201, _UNKEPT)


@router.get("", operation_id="keys.list", summary="The project's keys")
async def list_keys(key: AdminDep, runtime: RuntimeDep) -> Response:
    """All of them, newest first, without their texts."""
    return json_answer({"data": [_view(one) for one in await runtime.access.keys(key.project_id)]}, headers=_UNKEPT)


@router.get("/{key_id}", operation_id="keys.get", summary="A key")
async def get_key(key_id: str, key: AdminDep, runtime: RuntimeDep) -> Response:
    """Without its text."""
    return json_answer(_view(await _own(key_id, key, runtime)), headers=_UNKEPT)


@router.patch("/{key_id}", operation_id="keys.update", summary="Change a key's budget")
async def update_key(key_id: str, key: AdminDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """The new budget counts within a second or two; jobs that waited for it go on."""
    changed = parse(KeyBody, body)
    found = await _own(key_id, key, runtime)
    updated = await runtime.access.allow(key.project_id, found.id, _nanos(changed.budget))
    return json_answer(_view(updated or found), headers=_UNKEPT)


@router.delete("/{key_id}", operation_id="keys.revoke", summary="End a key")
async def revoke_key(key_id: str, key: AdminDep, runtime: RuntimeDep) -> Response:
    """It works nowhere after a second; its jobs go on."""
    found = await _own(key_id, key, runtime)
    await runtime.access.revoke(found.id)
    return json_answer(_view(await _own(key_id, key, runtime)), headers=_UNKEPT)


async def _own(text: str, key: ApiKey, runtime: Runtime) -> ApiKey:
    """The project's key of that id. Raises Problem 404."""
    found = await runtime.access.key(key.project_id, _id("key", text, "key"))
    if found is None:
        raise Problem("not_found", "There is no key with this id.")
    return found


def _id(prefix: str, text: str, what: str) -> UUID:
    try:
        return ids.read(prefix, text)
    except ids.InvalidId:
        raise Problem("not_found", f"There is no {what} with this id.") from None


def _no_more_than(key: ApiKey, wanted: NewKeyBody) -> None:
    """Raises Problem 422."""
    if beyond := sorted(set(wanted.scopes or ()) - key.scopes):
        raise field_problem("/scopes", f"your own key has no scope {beyond[0]}: it cannot give it on")
    if wanted.mode == "live" and key.mode == "test":
        raise field_problem("/mode", "your own key is a test key: it makes test keys only")


def _known_workflows(runtime: Runtime, names: list[str]) -> None:
    if unknown := sorted(set(names) - set(runtime.catalogue.names())):
        raise field_problem("/workflows", f"there is no workflow {unknown[0]!r}")


def _nanos(budget: BudgetBody | None) -> dict[Period, int]:
    if budget is None:
        return {}
    given = {period: getattr(budget, f"{period}_usd") for period in Period}
    return {period: money.nanos(usd) for period, usd in given.items() if usd is not None}


def _view(key: ApiKey) -> dict[str, Any]:
    budget = {f"{period}_usd": money.show(key.budget[period]) if period in key.budget else None for period in Period}
    return {
        "id": ids.show("key", key.id),
        "object": "api_key",
        "name": key.name,
        "prefix": key.prefix,
        "project_id": ids.show("prj", key.project_id),
        "scopes": sorted(key.scopes),
        "workflows": sorted(key.workflows) if key.workflows is not None else None,
        "mode": key.mode,
        "budget": budget if key.budget else None,
        "created_at": time_view(key.created_at),
        "expires_at": time_view(key.expires_at),
        "revoked_at": time_view(key.revoked_at),
    }
