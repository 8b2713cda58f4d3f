"""What the OpenAPI document says beyond the code: examples and error answers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from app.domain import money
from app.domain.errors import CATALOGUE
from app.store.reads import Recent

JOB_EXAMPLE: dict[str, Any] = {
    "id": "job_01k7zq0m8se9r8f2t4d6h8jkmn",
    "object": "job",
    "workflow": "review-sentiment",
    "version": "1",
    "status": "succeeded",
    "terminal": True,
    "reason": None,
    "revision": 3,
    "lane": "standard",
    "priority": 5,
    "output": {"label": "positive", "confidence": 0.93, "decided_by": "local"},
    "error": None,
}
SUBMIT_EXAMPLE: dict[str, Any] = {"input": {"text": "Works as promised, and the battery lasts."}}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "request_id", "retryable"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": ["string", "null"]},
        "retryable": {"type": "boolean"},
        "retry_after_s": {"type": "integer"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


def errors(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The answers for these error codes, by status."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in ("missing_key", "invalid_key", "scope_missing", *codes):
        entry = CATALOGUE[code]
        answer = found.setdefault(entry.status, _problem(entry.title))
        example = {"code": code, "title": entry.title, "status": entry.status, "retryable": entry.retryable}
        answer["content"]["application/problem+json"]["examples"][code] = {"value": example}
    return found


def ok(description: str, example: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """A good answer with its example."""
    return {status: {"description": description, "content": {"application/json": {"example": example}}}}


def body(shape: type[BaseModel], example: Any) -> dict[str, Any]:
    """The request body of an endpoint that reads it itself."""
    schema = shape.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    inline = shape.model_json_schema()
    return {"requestBody": {"content": {"application/json": {"schema": _inlined(inline), "example": example}}}}


def estimate(recent: Recent | None) -> dict[str, Any]:
    """What a job is expected to take, from its workflow's last ones."""
    return {
        "input_tokens": recent.input_tokens if recent else None,
        "cost_usd": money.show(recent.cost_nanos) if recent else None,
        "duration_s": round(recent.p50_s, 3) if recent else None,
    }


def _problem(title: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": PROBLEM_SCHEMA, "examples": {}}}
    return {"description": title, "content": content}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without references, so that it stands alone in the document."""
    definitions = schema.pop("$defs", {})

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolve(definitions[node["$ref"].rsplit("/", 1)[-1]])
            return {name: resolve(value) for name, value in node.items()}
        return [resolve(item) for item in node] if isinstance(node, list) else node

    resolved: dict[str, Any] = resolve(schema)
    return resolved


SUBMIT = {
    **ok("Ended within the wait", JOB_EXAMPLE, 201),
    **ok("Accepted", JOB_EXAMPLE, 202),
    **errors(
        "malformed_json", "invalid_header", "max_cost_too_low", "workflow_not_allowed", "not_found", "duplicate_job",
        "payload_too_large", "unsupported_media_type", "input_invalid", "unknown_field", "idempotency_key_reused",
        "webhook_url_forbidden", "queue_full", "reduced_capacity",
    ),
}  # fmt: skip
JOB = {**ok("The job", JOB_EXAMPLE), **errors("not_found", "reduced_capacity"), 304: {"description": "Not modified"}}
LIST = {
    **ok("A page", {"data": [JOB_EXAMPLE], "next_cursor": None, "has_more": False}),
    **errors("invalid_cursor", "input_invalid"),
}
OUTPUT = {**ok("The output", JOB_EXAMPLE["output"]), **errors("not_found", "job_not_finished", "result_expired")}
TRACE = {
    **ok("The timeline", {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "spans": []}),
    **errors("not_found"),
}
CANCEL = {
    **ok("Ended", JOB_EXAMPLE),
    **ok("Signaled", JOB_EXAMPLE, 202),
    **errors("not_found", "revision_mismatch"),
}
RETRY = {
    **ok("Queued again", JOB_EXAMPLE, 202),
    **errors("not_found", "state_conflict", "revision_mismatch", "input_invalid"),
}
WORKFLOWS = {**ok("The workflows", {"data": []}), **errors()}
WORKFLOW = {**ok("The workflow", {"name": "review-sentiment", "version": "1"}), **errors("not_found")}
STATUS = {**ok("The service", {"status": "ok"}), **errors()}
