"""Every error as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.domain import canonical
from app.domain.errors import CATALOGUE, Problem, type_of
from app.jobs.check import refused_fields
from app.store.database import StoreAway
from app.telemetry.logs import log

MEDIA_TYPE = "application/problem+json"
_AWAY_RETRY_S = 2
_BY_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "payload_too_large", 415: "unsupported_media_type"}


def answer(request: Request, problem: Problem) -> Response:
    """The HTTP answer for a problem."""
    headers = {"Cache-Control": "no-store", **problem.headers}
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if problem.entry.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="laneway"'
    return Response(canonical.write(_body(request, problem)), problem.entry.status, headers, media_type=MEDIA_TYPE)


def _body(request: Request, problem: Problem) -> dict[str, Any]:
    entry = problem.entry
    body: dict[str, Any] = {
        "type": type_of(entry.code),
        "title": entry.title,
        "status": entry.status,
        "detail": problem.detail,
        "instance": request.scope["path"],
        "code": entry.code,
        "request_id": request_id(request),
        "retryable": entry.retryable,
        **problem.extra,
    }
    if problem.retry_after_s is not None:
        body["retry_after_s"] = problem.retry_after_s
    if problem.errors:
        body["errors"] = [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in problem.errors]
    return body


def request_id(request: Request) -> str | None:
    """What `X-Request-Id` will say."""
    found: str | None = request.scope.get("state", {}).get("request_id")
    return found


def install(app: FastAPI) -> None:
    """Catch everything an endpoint can raise."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(StoreAway, _on_away)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_query)
    app.add_exception_handler(Exception, _on_bug)


async def _on_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    return answer(request, error)


async def _on_away(request: Request, error: Exception) -> Response:
    log("http").warning("store away", path=request.scope["path"], error=str(error))
    detail = "The database is away. Send the request again, with the same Idempotency-Key, to learn what became of it."
    return answer(request, Problem("reduced_capacity", detail, retry_after_s=_AWAY_RETRY_S))


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = _BY_STATUS.get(error.status_code, "internal" if error.status_code >= 500 else "invalid_header")
    path = request.scope["path"][:1000]
    detail = {404: f"There is nothing at {path}.", 405: f"{request.method} is not allowed here."}
    made = answer(request, Problem(code, detail.get(error.status_code, CATALOGUE[code].title)))
    if error.headers and "allow" in {name.lower() for name in error.headers}:
        made.headers["Allow"] = error.headers.get("Allow") or error.headers.get("allow") or ""
    return made


async def _on_query(request: Request, error: Exception) -> Response:
    """The framework reads query parameters only; the pointer is the parameter's name."""
    if not isinstance(error, RequestValidationError):
        raise error
    found = [(item["loc"][1:], item["type"], item["msg"]) for item in error.errors()]
    return answer(request, refused_fields(found))


async def _on_bug(request: Request, error: Exception) -> Response:
    """Runs outside the layer that adds `X-Request-Id`, so it adds its own."""
    own = request_id(request)
    log("http").error(
        "request failed",
        path=request.scope["path"],
        error=type(error).__name__,
        exception=_where(error),
        request_id=own,
    )
    made = answer(request, Problem("internal", "Something failed on our side; the request_id finds it in the logs."))
    made.headers["X-Request-Id"] = own or ""
    return made


def _where(error: BaseException) -> str:
    """File and line, never values."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_filename.rsplit('/', 2)[-1]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " < ".join(reversed(frames[-8:]))
