"""Every setting as the configuration page must show it: its key, default and bounds, read from the settings' model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from app.settings import Settings

Row = tuple[str, str, str]


def rows(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Row]:
    """Key, default, allowed values, in the order of the model."""
    for name, field in model.model_fields.items():
        inner = _inner(field.annotation)
        if inner is None:
            yield (f"{prefix}{name}", _default(field), _allowed(field))
        else:
            shape, way = inner
            yield from rows(shape, f"{prefix}{name}{way}")


def _inner(annotation: Any) -> tuple[type[BaseModel], str] | None:
    """The model below a field, and how its key goes on: a group, a table by name, or a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, "."
    found = [one for one in get_args(annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
    ways = {dict: ".NAME.", list: "[]."}
    return (found[0], ways[get_origin(annotation)]) if found and get_origin(annotation) in ways else None


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}" if value < 1_000_000 else str(value)
    if isinstance(value, tuple):
        return ", ".join(f"{one:g}" for one in value) or "none"
    return str(value) if value else "none"


def _allowed(field: FieldInfo) -> str:
    annotation = field.annotation
    choices = [
        one for part in (annotation, *get_args(annotation)) if get_origin(part) is Literal for one in get_args(part)
    ]
    if choices:
        return ", ".join(map(str, choices))
    found = {type(rule): rule for rule in _rules(field)}
    low = f"from {found[Ge].ge}" if Ge in found else f"above {found[Gt].gt}" if Gt in found else ""
    high = f"up to {found[Le].le}" if Le in found else ""
    if MinLen in found:
        low = f"from {found[MinLen].min_length}" + (
            f" to {found[MaxLen].max_length} of them" if MaxLen in found else ""
        )
    return " ".join(part for part in (low, high) if part)


def _rules(field: FieldInfo) -> list[Any]:
    return [rule for rule in field.metadata if isinstance(rule, Ge | Gt | Le | MinLen | MaxLen)]
