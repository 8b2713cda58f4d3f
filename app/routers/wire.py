"""What is not even HTTP is answered with a problem too."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.domain import canonical, ids
from app.domain.errors import CATALOGUE, type_of
from app.routers.errors import MEDIA_TYPE

_ENTRY = CATALOGUE["invalid_header"]


class ProblemProtocol(HttpToolsProtocol):
    """The server's protocol; the application never sees these requests."""

    def send_400_response(self, msg: str) -> None:
        """Answer and close; `msg` says what the parser found."""
        request_id = ids.uuid7().hex
        body = canonical.write({
            "type": type_of(_ENTRY.code),
            "title": _ENTRY.title,
            "status": _ENTRY.status,
            "detail": msg,
            "instance": "/",
            "code": _ENTRY.code,
            "request_id": request_id,
            "retryable": _ENTRY.retryable,
        })  # fmt: skip
        lines = [
            f"HTTP/1.1 {_ENTRY.status} Bad Request",
            f"content-type: {MEDIA_TYPE}",
            f"content-length: {len(body)}",
            f"x-request-id: {request_id}",
            "connection: close",
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()
