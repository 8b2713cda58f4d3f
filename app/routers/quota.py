"""What is left of a client's quota, on every answer to it; an answer that nothing has changed costs nothing of it."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from fastapi import Request
from starlette.types import Scope

from app.domain.errors import Problem
from app.ops.quotas import WINDOW_S, Quotas, Standing
from app.routers.layer import Fields, Head, Layer

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


class Quoted(Layer):
    """Says to each key how it stands."""

    def begin(self, scope: Scope) -> Head:
        state = scope["state"]

        def head(status: int) -> Fields:
            taken: _Taken | None = state.get("quota")
            if taken is None:
                return []
            if status == _UNCHANGED:
                taken.quotas.give_back(taken.client)
            return _fields(taken.standing)

        return head


def _fields(standing: Standing) -> Fields:
    """As draft-ietf-httpapi-ratelimit-headers-10 writes them: quota and window; what is left, and when all is again."""
    policy = f'"{_POLICY}";q={standing.per_minute};w={WINDOW_S}'
    left = f'"{_POLICY}";r={standing.left};t={ceil(standing.whole_s)}'
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", left.encode())]
