"""The OpenAPI document: FastAPI's own, completed with answers, errors, examples, links, webhooks and concrete paths."""

from __future__ import annotations

import copy
import functools
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.domain.errors import CATALOGUE, type_of
from app.domain.event import WEBHOOK_EVENTS
from app.engine.catalogue import Catalogue
from app.routers import (
    breaker_shapes,
    docs,
    event_shapes,
    job_shapes,
    many_shapes,
    money_shapes,
    pool_shapes,
    samples,
    service_shapes,
    shapes,
    workflow_shapes,
)
from app.routers.concrete import add_workflow
from app.routers.schemas import CancelBody, InvalidateBody, ReplayBody, RetryBody, SubmitBody

_TEMPLATE = "#/components/schemas/{model}"
_BODIES = {
    **{shape.__name__: name for name, shape in (money_shapes.BODIES | pool_shapes.BODIES).items()},
    "SubmitBody": "Submit",
    "RetryBody": "Retry",
    "CancelBody": "Cancel",
    "ReplayBody": "Replay",
    "InvalidateBody": "Invalidate",
}
_SUBJECTS = (
    shapes, job_shapes, workflow_shapes, event_shapes, service_shapes, many_shapes, money_shapes, pool_shapes,
    breaker_shapes,
)  # fmt: skip
_METHODS = ("get", "post", "put", "patch", "delete")
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`lw_live_...` or `lw_test_...`"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_STREAM = {
    "type": "string",
    "description": "Server-sent events: `job` with an id (a JobEvent), `delta`, `reset`, `progress`, `end` (the Job).",
}
_WEBHOOK_HEADERS = {
    "webhook-id": "The same at every attempt.",
    "webhook-timestamp": "Seconds since 1970.",
    "webhook-signature": "`v1,` and the HMAC-SHA256 of id, timestamp and body.",
}


def install(app: FastAPI, catalogue: Catalogue) -> None:
    """Make the application answer the completed document."""
    plain = app.openapi

    @functools.cache
    def completed() -> dict[str, Any]:
        return document(plain(), catalogue)

    app.openapi = completed  # type: ignore[method-assign]


def document(plain: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """The whole document from FastAPI's own."""
    whole = copy.deepcopy(plain)
    schemas = _schemas()
    whole["components"] = {"schemas": schemas, "securitySchemes": _SECURITY}
    whole["tags"] = [{"name": name, "description": text} for name, text in docs.TAGS.items()]
    for item in whole["paths"].values():
        for method in item.keys() & set(_METHODS):
            _complete(item[method])
    generic = whole["paths"]["/v1/workflows/{workflow}/jobs"]["post"]
    concrete = (add_workflow(generic, catalogue.default(name), schemas) for name in catalogue.names())
    whole["paths"] = {**dict(concrete), **whole["paths"]}
    whole["webhooks"] = {str(event): {"post": _webhook(str(event))} for event in WEBHOOK_EVENTS}
    return whole


def _schemas() -> dict[str, Any]:
    bodies = [
        (shape, "validation")
        for shape in (
            *money_shapes.BODIES.values(),
            *pool_shapes.BODIES.values(),
            SubmitBody,
            RetryBody,
            CancelBody,
            ReplayBody,
            InvalidateBody,
        )
    ]
    answers = [(shape, "serialization") for subject in _SUBJECTS for shape in subject.ANSWERS]
    _, found = models_json_schema([*bodies, *answers], by_alias=True, ref_template=_TEMPLATE)  # type: ignore[list-item]
    schemas = {_BODIES.get(name, name): schema for name, schema in found["$defs"].items()}
    for body, name in _BODIES.items():
        schemas[name]["title"] = body.removesuffix("Body")
    anything = {"description": "What the workflow's output schema says."}
    return {**schemas, "Anything": anything, "Metrics": {"type": "string", "description": "Prometheus's text format."}}


def _complete(operation: dict[str, Any]) -> None:
    told = docs.OPERATIONS[operation["operationId"]]
    operation["responses"] = {
        **_errors(told),
        **{str(status): _answer(told, one) for status, one in told.answers.items()},
    }
    operation["parameters"] = [*operation.get("parameters", []), *(_header(name) for name in told.headers)]
    operation["security"] = [] if told.open else [{"bearer": []}, {"key": []}]
    if told.body:
        name, example = told.body
        operation["requestBody"] = {"content": _content("application/json", name, example)}


def _answer(told: docs.Operation, one: docs.Told) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": one.description}
    if one.schema:
        answer["content"] = _content(one.media, one.schema, one.example)
    if told.linked and one.schema == "Job":
        parameters = {"job_id": "$response.body#/id"}
        answer["links"] = {name: {"operationId": to, "parameters": parameters} for name, to in docs.LINKS.items()}
    return answer


def _errors(told: docs.Operation) -> dict[str, Any]:
    """The error answers by status, with an example for each code."""
    found: dict[str, Any] = {}
    for code in told.codes:
        entry = CATALOGUE[code]
        content = {"schema": {"$ref": _TEMPLATE.format(model="Problem")}, "examples": {}}
        answer = found.setdefault(
            str(entry.status), {"description": entry.title, "content": {"application/problem+json": content}}
        )
        answer["content"]["application/problem+json"]["examples"][code] = {"value": _problem(code)}
    return found


def _problem(code: str) -> dict[str, Any]:
    entry = CATALOGUE[code]
    return {
        "type": type_of(code),
        "title": entry.title,
        "status": entry.status,
        "detail": f"{entry.title}.",
        "instance": "/v1/jobs",
        "code": code,
        "request_id": "01984d3c6c1e7cc08a1e5d1f2a3b4c5d",
        "retryable": entry.retryable,
    }


def _header(name: str) -> dict[str, Any]:
    told = docs.HEADERS[name]
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": told.description,
        "schema": dict(told.schema),
        "example": told.example,
    }


def _content(kind: str, name: str, example: Any) -> dict[str, Any]:
    return {kind: {"schema": {"$ref": _TEMPLATE.format(model=name)}, "example": example}}


def _webhook(event: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {
        "operationId": f"webhooks.{event}",
        "tags": ["webhooks"],
        "summary": event,
        "description": "Sent to the job's `webhook.url`; verify it with any Standard Webhooks library.",
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": text, "schema": schema}
            for name, text in _WEBHOOK_HEADERS.items()
        ],
        "requestBody": {"content": _content("application/json", "Event", {**samples.EVENT, "type": event})},
        "responses": {
            "2XX": {"description": "Received; anything else is tried again."},
            "410": {"description": "Never again."},
        },
    }
