"""Validates a submitted input: the author's type decides; unknown fields are refused unless its models allow them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import AliasChoices, AliasPath, BaseModel, RootModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails

from app.domain import canonical
from app.engine import codec

T = TypeVar("T")
Location = tuple[int | str, ...]


def validated_input(adapter: TypeAdapter[T], title: str, value: Any) -> T:
    """The input (plain JSON types) as the author's type. Raises ValidationError, `extra_forbidden` for unknown fields.

    A model that says nothing about extra fields refuses them here; `extra="ignore"` or `"allow"` lets them pass.
    """
    accepted = codec.read(adapter, canonical.dump(value))
    if unknown := list(_unknown(value, accepted, ())):
        raise ValidationError.from_exception_data(title, unknown)
    return accepted


def _unknown(raw: Any, accepted: Any, where: Location) -> Iterator[InitErrorDetails]:
    """Fields of the input that no model took."""
    if isinstance(accepted, RootModel):
        yield from _unknown(raw, accepted.root, where)
    elif isinstance(accepted, BaseModel) and isinstance(raw, Mapping):
        yield from _unknown_in_model(raw, accepted, where)
    elif isinstance(accepted, list | tuple) and isinstance(raw, list):
        for place, (one, taken) in enumerate(zip(raw, accepted, strict=False)):
            yield from _unknown(one, taken, (*where, place))
    elif isinstance(accepted, Mapping) and isinstance(raw, Mapping):
        for name in raw.keys() & accepted.keys():
            yield from _unknown(raw[name], accepted[name], (*where, name))


def _unknown_in_model(raw: Mapping[str, Any], accepted: BaseModel, where: Location) -> Iterator[InitErrorDetails]:
    fields = type(accepted).model_fields
    names = {name: field for field in fields for name in _names(field, fields[field])}
    for name, value in raw.items():
        if name in names:
            yield from _unknown(value, getattr(accepted, names[name], None), (*where, name))
        elif "extra" not in accepted.model_config:
            yield InitErrorDetails(type="extra_forbidden", loc=(*where, name), input=None)


def _names(name: str, field: FieldInfo) -> Iterator[str]:
    """Every key under which a field may come."""
    yield name
    alias = field.validation_alias
    for one in alias.choices if isinstance(alias, AliasChoices) else [alias]:
        first = one.path[0] if isinstance(one, AliasPath) else one
        if isinstance(first, str):
            yield first
