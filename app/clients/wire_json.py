"""What all protocols read alike: JSON objects, token counts, error bodies; nothing that is sent is trusted."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from app.clients.http import broken
from app.clients.refusal import ErrorBody
from app.domain import canonical

_MAX_TOKENS = 1 << 31
_HEADER = re.compile(r"^[\x21-\x7e]{1,255}$")
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")


def json_object(body: bytes, status: int = 200) -> dict[str, Any]:
    """The JSON object in these bytes. Raises WireError."""
    try:
        value = canonical.load(body)
    except canonical.MalformedJson:
        raise broken("it is not JSON", status) from None
    if not isinstance(value, dict):
        raise broken("it is not a JSON object", status)
    return value


def tokens(value: Any) -> int | None:
    """A count of tokens; None for what is none."""
    return value if type(value) is int and 0 <= value < _MAX_TOKENS else None


def error_of(body: bytes) -> ErrorBody:
    """Whatever can be read of an error's body; a proxy's HTML page is an empty one."""
    try:
        value = canonical.load(body)
    except canonical.MalformedJson:
        return ErrorBody()
    return error_in(value.get("error", value) if isinstance(value, dict) else None)


def error_in(error: Any) -> ErrorBody:
    """Whatever can be read of an error object: its code, type and message."""
    if not isinstance(error, dict):
        return ErrorBody(message=error if isinstance(error, str) else "")
    code, details = error.get("code"), error.get("details")
    if isinstance(details, dict) and code is None:
        code = details.get("error_code")
    known = str(code) if type(code) is int else _text(code)
    return ErrorBody(known, _text(error.get("type")), _text(error.get("message")) or "")


def schema_name(name: str | None) -> str:
    """A name that every provider takes."""
    return _NO_NAME.sub("_", name or "answer")[:64] or "answer"


def header(text: str) -> str:
    """The text itself where a header can carry it, else a digest of it."""
    return text if _HEADER.match(text) else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
