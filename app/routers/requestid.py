"""`X-Request-Id` on every answer: the client's where it is well formed, else a new one."""

from __future__ import annotations

import re

from starlette.types import Scope

from app.domain import ids
from app.routers.layer import Head, Layer

_FORM = re.compile(rb"^[A-Za-z0-9._-]{1,128}$")


class RequestId(Layer):
    """Names each request, for its answer and for the log."""

    def begin(self, scope: Scope) -> Head:
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = given if _FORM.match(given) else ids.uuid7().hex.encode()
        scope["state"]["request_id"] = request_id.decode()
        return lambda _: [(b"x-request-id", request_id)]
