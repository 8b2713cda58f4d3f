"""Validates a client's input with the workflow's own model; each broken rule names its field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.domain.errors import FieldError, Problem
from app.engine import codec
from app.engine.workflow import Workflow

_MOST_ERRORS = 50
_LONGEST = 300
# Of pydantic's types, the one for fields that no model has, and those for something else than an object.
_UNKNOWN = "extra_forbidden"
_NO_OBJECT = ("model_type", "model_attributes_type", "dict_type")
Shape = TypeVar("Shape", bound=BaseModel)
Location = Sequence[str | int]
Found = tuple[Location, str, str]


def validated(workflow: Workflow[Any, Any], value: Any) -> bytes:
    """The input as the workflow will see it: canonical bytes of the validated model. Raises Problem."""
    try:
        return codec.dump(workflow.input_adapter, workflow.validate_input(value))
    except ValidationError as error:
        raise refused(error, "/input") from None
    except UnicodeError:
        raise _problem((FieldError("/input", "input_invalid", "A text is not valid Unicode."),)) from None
    except codec.NotRecordable as error:
        raise _problem((FieldError("/input", "input_invalid", _shown(str(error))),)) from None


def parse(shape: type[Shape], body: Any) -> Shape:
    """A request body in its shape. Raises Problem."""
    try:
        return shape.model_validate(body)
    except ValidationError as error:
        raise refused(error) from None


def refused(error: ValidationError, prefix: str = "") -> Problem:
    """The problem for what pydantic found; no value of the client's is repeated."""
    items = error.errors(include_url=False, include_input=False, include_context=False)
    return refused_fields([(item["loc"], item["type"], item["msg"]) for item in items], prefix)


def refused_fields(found: Sequence[Found], prefix: str = "") -> Problem:
    """The problem for broken rules, each with its place, pydantic's type and its message; the first fifty are told."""
    return _problem(tuple(_field(one, prefix) for one in found[:_MOST_ERRORS]))


def _problem(errors: tuple[FieldError, ...]) -> Problem:
    code = "unknown_field" if all(item.code == "unknown_field" for item in errors) else "input_invalid"
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(code, f"{errors[0].pointer or '/'}: {errors[0].detail}{more}", errors=errors)


def _field(found: Found, prefix: str) -> FieldError:
    location, kind, message = found
    pointer = prefix + "".join(f"/{_escape(part)}" for part in location)
    if kind == _UNKNOWN:
        return FieldError(pointer, "unknown_field", "This field is unknown: remove it or correct its name.")
    if kind in _NO_OBJECT:
        return FieldError(pointer, "input_invalid", "This must be a JSON object.")
    return FieldError(pointer, "input_invalid", _shown(message.removeprefix("Value error, ")))


def _shown(text: str) -> str:
    """A message of bounded length in valid Unicode."""
    return text[:_LONGEST].encode("utf-8", "replace").decode()


def _escape(part: str | int) -> str:
    """RFC 6901."""
    return _shown(str(part)).replace("~", "~0").replace("/", "~1")
