"""Validates a client's input with the workflow's own model; each broken rule names its field."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.domain.errors import FieldError, Problem
from app.engine import codec
from app.engine.workflow import Workflow

_MOST_ERRORS = 50
Shape = TypeVar("Shape", bound=BaseModel)


def validated(workflow: Workflow[Any, Any], value: Any) -> bytes:
    """The input as the workflow will see it: canonical bytes of the validated model. Raises Problem."""
    try:
        return codec.dump(workflow.input_adapter, workflow.validate_input(value))
    except ValidationError as error:
        raise refused(error, "/input") from None
    except codec.NotRecordable as error:
        raise _problem((FieldError("/input", "input_invalid", str(error)),)) from None


def parse(shape: type[Shape], body: Any) -> Shape:
    """A request body in its shape. Raises Problem."""
    try:
        return shape.model_validate(body)
    except ValidationError as error:
        raise refused(error) from None


def refused(error: ValidationError, prefix: str = "") -> Problem:
    """The problem for what pydantic found; no value of the client's is repeated."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[:_MOST_ERRORS]
    return _problem(tuple(_field(item, prefix) for item in found))


def _problem(errors: tuple[FieldError, ...]) -> Problem:
    code = "unknown_field" if all(item.code == "unknown_field" for item in errors) else "input_invalid"
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(code, f"{errors[0].pointer or '/'}: {errors[0].detail}{more}", errors=errors)


def _field(item: ErrorDetails, prefix: str) -> FieldError:
    pointer = prefix + "".join(f"/{_escape(part)}" for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return FieldError(pointer, "unknown_field", "This field is unknown: remove it or correct its name.")
    return FieldError(pointer, "input_invalid", item["msg"])


def _escape(part: str | int) -> str:
    """RFC 6901."""
    return str(part).replace("~", "~0").replace("/", "~1")[:200]
