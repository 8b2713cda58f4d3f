"""What is left of a client's quota, on every answer to it; an answer that nothing has changed costs nothing of it."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.domain.errors import Problem
from app.ops.quotas import WINDOW_S, Quotas, Standing

_POLICY = "requests"
_UNCHANGED = 304


class _Taken(NamedTuple):
    quotas: Quotas
    client: str
    standing: Standing


def take(request: Request, quotas: Quotas, client: str) -> None:
    """One request of the client, however many doors ask for its key. Raises Problem `rate_limited`."""
    state = request.scope["state"]
    if "quota" in state:
        return
    standing = quotas.take(client)
    state["quota"] = _Taken(quotas, client, standing)
    if standing.retry_s is not None:
        raise Problem(
            "rate_limited",
            f"This key has sent its {standing.per_minute} requests a minute: send the next one after Retry-After.",
            retry_after_s=max(1, ceil(standing.retry_s)),
            extra={"violated-policies": [_POLICY]},
        )


class Quoted:
    """A thin layer around the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def send_quoted(message: Message) -> None:
            if message["type"] == "http.response.start" and (taken := state.get("quota")) is not None:
                if message["status"] == _UNCHANGED:
                    taken.quotas.give_back(taken.client)
                message["headers"] = [*message.get("headers", []), *_fields(taken.standing)]
            await send(message)

        await self._app(scope, receive, send_quoted)


def _fields(standing: Standing) -> list[tuple[bytes, bytes]]:
    """As draft-ietf-httpapi-ratelimit-headers-10 writes them: quota and window; what is left, and when all is again."""
    policy = f'"{_POLICY}";q={standing.per_minute};w={WINDOW_S}'
    left = f'"{_POLICY}";r={standing.left};t={ceil(standing.whole_s)}'
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", left.encode())]
