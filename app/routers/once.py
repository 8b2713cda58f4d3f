"""`Idempotency-Key` for POSTs whose effect is not in the database: one way for all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response

from app.domain import canonical
from app.routers.submission import idempotency_of
from app.store.keys import ApiKey
from app.wiring import Runtime

_UNKEPT = {"Cache-Control": "private, no-store"}


async def once(
    request: Request, runtime: Runtime, key: ApiKey, body: Any, act: Callable[[], Awaitable[Any]]
) -> tuple[bytes, dict[str, str]]:
    """The JSON of what `act` gives, or gave before under this key, and the header that says so.

    Reading the body is a part of the act, so that a used key with another body is told as that, whatever is in it.
    Raises Problem `invalid_header`, `idempotency_key_reused`, and what the act raises.
    """

    async def answer() -> bytes:
        return canonical.write(await act())

    found, repeated = await runtime.once.do(key.project_id, idempotency_of(request, body), answer)
    return found, {"Idempotent-Replayed": "true"} if repeated else {}


async def answer_once(
    request: Request, runtime: Runtime, key: ApiKey, body: Any, act: Callable[[], Awaitable[Any]]
) -> Response:
    """The same as a whole answer, 200."""
    found, headers = await once(request, runtime, key, body, act)
    return Response(found, 200, {**_UNKEPT, **headers}, media_type="application/json")
