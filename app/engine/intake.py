"""Validates a submitted input: the author's model decides, and unknown fields are refused unless it allows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import AliasChoices, AliasPath, BaseModel, RootModel, ValidationError
from pydantic.fields import FieldInfo

from app.domain import canonical
from app.domain.errors import FieldError, LanewayError
from app.engine import codec
from app.engine.workflow import Workflow

_MOST_ERRORS = 50


class InvalidInput(LanewayError):
    """The input is refused; `errors` say where (JSON pointers into the input) and why."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__("; ".join(f"{error.pointer or '/'}: {error.detail}" for error in errors[:3]))
        self.errors = errors


def accept(workflow: Workflow[Any, Any], value: Any) -> bytes:
    """Canonical bytes of the validated input (plain JSON types in), as `perform` reads it. Raises InvalidInput."""
    try:
        accepted = codec.load(workflow.input_adapter, canonical.dump(value))
    except codec.NotRecordable as error:
        raise InvalidInput(_field_errors(workflow, value) or (_refusal("", str(error)),)) from None
    if unknown := tuple(_unknown(value, accepted, "")):
        raise InvalidInput(unknown[:_MOST_ERRORS])
    try:
        return codec.dump(workflow.input_adapter, accepted)
    except codec.NotRecordable as error:
        raise InvalidInput((_refusal("", str(error)),)) from None


def _field_errors(workflow: Workflow[Any, Any], value: Any) -> tuple[FieldError, ...]:
    try:
        workflow.input_adapter.validate_python(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)[:_MOST_ERRORS]
        return tuple(_field_error(one["type"], one["loc"], one["msg"]) for one in found)
    return ()


def _field_error(kind: str, where: tuple[int | str, ...], text: str) -> FieldError:
    code = "unknown_field" if kind == "extra_forbidden" else "input_invalid"
    return FieldError("".join(f"/{_token(part)}" for part in where), code, text)


def _refusal(pointer: str, text: str) -> FieldError:
    return FieldError(pointer, "input_invalid", text)


def _token(part: int | str) -> str:
    """A part of a JSON pointer (RFC 6901)."""
    return str(part).replace("~", "~0").replace("/", "~1")


def _unknown(raw: Any, accepted: Any, pointer: str) -> Iterator[FieldError]:
    """Fields of the input that no model took, where the model says nothing about extra fields."""
    if isinstance(accepted, RootModel):
        yield from _unknown(raw, accepted.root, pointer)
    elif isinstance(accepted, BaseModel) and isinstance(raw, Mapping):
        yield from _unknown_in_model(raw, accepted, pointer)
    elif isinstance(accepted, list | tuple) and isinstance(raw, list):
        for place, (one, taken) in enumerate(zip(raw, accepted, strict=False)):
            yield from _unknown(one, taken, f"{pointer}/{place}")
    elif isinstance(accepted, Mapping) and isinstance(raw, Mapping):
        for name in raw.keys() & accepted.keys():
            yield from _unknown(raw[name], accepted[name], f"{pointer}/{_token(name)}")


def _unknown_in_model(raw: Mapping[str, Any], accepted: BaseModel, pointer: str) -> Iterator[FieldError]:
    fields = type(accepted).model_fields
    names = {name: field for field in fields for name in _names(field, fields[field])}
    for name, value in raw.items():
        here = f"{pointer}/{_token(name)}"
        if name in names:
            yield from _unknown(value, getattr(accepted, names[name], None), here)
        elif "extra" not in accepted.model_config:
            yield FieldError(here, "unknown_field", f"{type(accepted).__name__} has no field {name!r}")


def _names(name: str, field: FieldInfo) -> Iterator[str]:
    """Every key under which a field may come."""
    yield name
    alias = field.validation_alias
    for one in alias.choices if isinstance(alias, AliasChoices) else [alias]:
        first = one.path[0] if isinstance(one, AliasPath) else one
        if isinstance(first, str):
            yield first
