"""API keys over HTTP: made, listed, given a budget, rotated, revoked."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.domain import ids, money
from app.domain.errors import Problem
from app.domain.period import Period
from app.jobs.check import parse
from app.jobs.view import time_view
from app.ops.grants import Granted, Wanted
from app.routers.deps import JsonDep, RuntimeDep, field_problem, needs
from app.routers.listing import id_of
from app.routers.money_shapes import BudgetBody, KeyBody, KeysQuery, NewKeyBody, RotateBody
from app.routers.reply import id_page, json_answer
from app.routers.submission import idempotency_of
from app.store.keys import ApiKey
from app.wiring import Runtime

router = APIRouter(prefix="/v1/api-keys", tags=["keys"])
AdminDep = Annotated[ApiKey, Depends(needs("keys:admin"))]
UNKEPT = {"Cache-Control": "private, no-store"}


@router.post("", operation_id="keys.create", summary="Make a key", status_code=201)
async def create_key(request: Request, key: AdminDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """A new key; its text is in this answer and nowhere else. A budget bounds what its jobs may spend.

    It may do no more than the key that asks: no further scope or workflow, no larger budget, no later end, and live
    only for a live one. A repeated request (`Idempotency-Key`) answers the key without its text.
    """
    wanted = parse(NewKeyBody, body)
    _known_workflows(runtime, wanted.workflows or [])
    if wanted.expires_at is not None and wanted.expires_at <= runtime.clock.now():
        raise field_problem("/expires_at", "this has passed: name a later time, or leave it out")
    if "test" in (wanted.mode, key.mode) and not runtime.settings.takes_test_keys:
        raise field_problem("/mode", "a test key needs the simulated provider: set simulator_url to where it listens")
    made = await runtime.grants.make(
        key,
        Wanted(
            wanted.name,
            None if wanted.project_id is None else id_in("prj", wanted.project_id, "project"),
            wanted.scopes,
            wanted.workflows,
            wanted.expires_at,
            wanted.mode,
            _nanos(wanted.budget),
        ),
        idempotency_of(request, body),
    )
    return _answer(made)


@router.get("", operation_id="keys.list", summary="A project's keys")
async def list_keys(
    request: Request, key: AdminDep, runtime: RuntimeDep, query: Annotated[KeysQuery, Query()]
) -> Response:
    """Newest first, without their texts; those of another project that this key administrates with `project_id`."""
    project_id = None if query.project_id is None else id_in("prj", query.project_id, "project")
    after = id_of(query.cursor) if query.cursor is not None else None
    found = await runtime.grants.keys(key, project_id, query.limit + 1, after)
    return id_page(request, f"{runtime.base_url}/v1/api-keys", found, query.limit, _view)


@router.get("/{key_id}", operation_id="keys.get", summary="A key")
async def get_key(key_id: str, key: AdminDep, runtime: RuntimeDep) -> Response:
    """Without its text."""
    return json_answer(_view(await runtime.grants.key(key, _own(key_id))), headers=UNKEPT)


@router.patch("/{key_id}", operation_id="keys.update", summary="Change a key's budget")
async def update_key(key_id: str, key: AdminDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """The new budget counts within a second or two; jobs that waited for it go on."""
    changed = parse(KeyBody, body)
    return json_answer(_view(await runtime.grants.allow(key, _own(key_id), _nanos(changed.budget))), headers=UNKEPT)


@router.post("/{key_id}/rotate", operation_id="keys.rotate", summary="Give a key a new text", status_code=201)
async def rotate_key(request: Request, key_id: str, key: AdminDep, runtime: RuntimeDep, body: JsonDep) -> Response:
    """A new key that may do the same; the old one works until the grace is over. Both have one budget and one usage."""
    grace_s = parse(RotateBody, body).grace
    return _answer(await runtime.grants.rotate(key, _own(key_id), grace_s, idempotency_of(request, body)))


@router.delete("/{key_id}", operation_id="keys.revoke", summary="End a key")
async def revoke_key(key_id: str, key: AdminDep, runtime: RuntimeDep) -> Response:
    """It works nowhere after a second; its jobs go on."""
    return json_answer(_view(await runtime.grants.revoke(key, _own(key_id))), headers=UNKEPT)


def id_in(prefix: str, text: str, what: str) -> UUID:
    """The id in a text of a client's. Raises Problem 404."""
    try:
        return ids.read(prefix, text)
    except ids.InvalidId:
        raise Problem("not_found", f"There is no {what} with this id.") from None


def _own(text: str) -> UUID:
    return id_in("key", text, "key")


def _answer(made: Granted) -> Response:
    if made.text is None:
        return json_answer(_view(made.key), 201, {**UNKEPT, "Idempotent-Replayed": "true"})
    return json_answer({**_view(made.key), "key": made.text}, 201, UNKEPT)


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
        "first_id": ids.show("key", key.first_id),
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
