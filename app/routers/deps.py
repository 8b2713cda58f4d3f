"""What every endpoint asks first: who calls, and what the body says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request

from app.domain import canonical, ids
from app.domain.errors import FieldError, Problem
from app.routers.quota import take
from app.routers.timing import timed
from app.store.keys import ApiKey
from app.wiring import Runtime


def runtime_of(request: Request) -> Runtime:
    """The parts of this process."""
    runtime: Runtime = request.app.state.runtime
    return runtime


async def _runtime(request: Request) -> Runtime:
    """The same as a dependency: async, since FastAPI takes plain functions to a thread."""
    return runtime_of(request)


RuntimeDep = Annotated[Runtime, Depends(_runtime)]


def needs(scope: str) -> Callable[[Request], Awaitable[ApiKey]]:
    """A dependency: the caller's key, which must have `scope` and some quota left. Raises Problem 401, 403, 429."""

    async def caller(request: Request) -> ApiKey:
        runtime = runtime_of(request)
        key = await timed(request, "auth", runtime.access.key_of(_key_text(request), _address(request)))
        take(request, runtime.quotas, key.first_id.hex)
        if scope not in key.scopes:
            raise Problem("scope_missing", f"This needs a key with the scope {scope}.")
        return key

    return caller


reader, writer = needs("jobs:read"), needs("jobs:write")
ReaderDep = Annotated[ApiKey, Depends(reader)]
WriterDep = Annotated[ApiKey, Depends(writer)]
OperatorDep = Annotated[ApiKey, Depends(needs("ops:read"))]


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


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
    _refuse_other_media(request)
    try:
        return canonical.load(raw, max_depth=settings.max_json_depth)
    except canonical.MalformedJson as error:
        raise Problem("malformed_json", f"The body is not valid JSON: {error}.") from None


JsonDep = Annotated[Any, Depends(json_body)]


def _refuse_other_media(request: Request) -> None:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Problem("unsupported_media_type", "Send the body as `Content-Type: application/json`.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem("unsupported_media_type", "Send the body as it is, without Content-Encoding.")


async def _read(request: Request, most: int) -> bytes:
    chunks, size = [], _announced(request)
    if size <= most:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            chunks.append(chunk)
            if size > most:
                break
    if size > most:
        raise Problem("payload_too_large", f"The body is larger than {most} bytes.")
    return b"".join(chunks)


def _announced(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length[:20]) if length.isascii() and length.isdigit() else 0


def job_id_of(text: str) -> UUID:
    """The id in a path. Raises Problem 404 for anything that is no job id."""
    try:
        return ids.read("job", text)
    except ids.InvalidId:
        raise Problem("not_found", "There is no job with this id.") from None


def field_problem(pointer: str, detail: str, code: str = "input_invalid") -> Problem:
    """A problem about one field."""
    return Problem(code, f"{pointer}: {detail}", errors=(FieldError(pointer, code, detail),))
