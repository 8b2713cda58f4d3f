"""What every endpoint asks first: who calls, what the body says, what the client prefers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request

from app.domain import canonical, ids
from app.domain.errors import FieldError, Problem
from app.store.keys import ApiKey
from app.wiring import Runtime

_TOKEN = re.compile(r"^[\x21-\x7e]{1,255}$")


def runtime_of(request: Request) -> Runtime:
    """The parts of this process."""
    runtime: Runtime = request.app.state.runtime
    return runtime


async def _runtime(request: Request) -> Runtime:
    """The same as a dependency: async, since FastAPI takes plain functions to a thread."""
    return runtime_of(request)


RuntimeDep = Annotated[Runtime, Depends(_runtime)]


def needs(scope: str) -> Callable[[Request], Awaitable[ApiKey]]:
    """A dependency: the caller's key, which must have `scope`. Raises Problem 401 or 403."""

    async def caller(request: Request) -> ApiKey:
        key = await runtime_of(request).access.key_of(_key_text(request))
        if scope not in key.scopes:
            raise Problem("scope_missing", f"This needs a key with the scope {scope}.")
        return key

    return caller


ReaderDep = Annotated[ApiKey, Depends(needs("jobs:read"))]
WriterDep = Annotated[ApiKey, Depends(needs("jobs:write"))]


def _key_text(request: Request) -> str:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        return text.strip()
    if text := request.headers.get("x-api-key", "").strip():
        return text
    raise Problem("missing_key", "Send your API key as `Authorization: Bearer lw_live_...`.")


async def json_body(request: Request) -> Any:
    """The JSON value of the body; an empty body is an empty object. Raises Problem 400, 413, 415."""
    settings = runtime_of(request).settings.http
    raw = await _read(request, settings.max_body_bytes)
    if not raw.strip():
        return {}
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Problem("unsupported_media_type", "Send the body as `Content-Type: application/json`.")
    try:
        return canonical.load(raw, max_depth=settings.max_json_depth)
    except canonical.MalformedJson as error:
        raise Problem("malformed_json", f"The body is not valid JSON: {error}.") from None


JsonDep = Annotated[Any, Depends(json_body)]


async def _read(request: Request, most: int) -> bytes:
    too_large = Problem("payload_too_large", f"The body is larger than {most} bytes.")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise too_large
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise too_large
        chunks.append(chunk)
    return b"".join(chunks)


def idempotency_key(request: Request) -> str | None:
    """The `Idempotency-Key` header, quoted or not. Raises Problem `invalid_header`."""
    text = request.headers.get("idempotency-key")
    if text is None:
        return None
    bare = text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text
    if not _TOKEN.match(bare):
        raise Problem("invalid_header", "Idempotency-Key: 1 to 255 visible ASCII characters.")
    return bare


def preferred_wait_s(request: Request, most: float) -> float | None:
    """Seconds of `Prefer: wait=N`, at most the server's maximum; malformed preferences are ignored (RFC 7240)."""
    words = [word.strip().lower() for header in request.headers.getlist("prefer") for word in header.split(",")]
    if "respond-async" in words:
        return None
    for word in words:
        name, _, value = word.partition("=")
        if name.strip() == "wait" and value.strip().isdigit():
            return min(float(value.strip()[:9]), most)
    return None


def if_match_revision(request: Request) -> int | None:
    """The revision of `If-Match: "rN"`; None without the header. Raises Problem 412 for a tag that is not ours."""
    text = request.headers.get("if-match")
    if text is None or text.strip() == "*":
        return None
    found = re.match(r'^"r(\d{1,9})"$', text.strip())
    if found is None:
        raise Problem("revision_mismatch", 'If-Match takes the ETag of the job, for instance "r7".')
    return int(found[1])


def job_id_of(text: str) -> UUID:
    """The id in a path. Raises Problem 404 for anything that is no job id."""
    try:
        return ids.read("job", text)
    except ids.InvalidId:
        raise Problem("not_found", "There is no job with this id.") from None


def field_problem(pointer: str, detail: str, code: str = "input_invalid") -> Problem:
    """A problem about one field."""
    return Problem(code, f"{pointer}: {detail}", errors=(FieldError(pointer, code, detail),))
