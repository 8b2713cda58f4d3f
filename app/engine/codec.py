"""Values to canonical JSON bytes and back, the same way in every run; and digests of a step's arguments."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from base64 import b64encode
from collections.abc import Callable, Mapping
from collections.abc import Set as AnySet
from enum import Enum
from math import isfinite
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import to_jsonable_python

from app.domain import canonical

T = TypeVar("T")
_DEEPEST = 200
# Without it pydantic writes NaN as null, and nobody would notice the change.
_KEEP_NAN = ConfigDict(ser_json_inf_nan="constants")


class NotRecordable(ValueError):
    """The value can't be written as JSON and read back; the message says why."""


@functools.lru_cache(maxsize=4096)
def adapter_of(annotation: Any) -> TypeAdapter[Any]:
    """The adapter of a type. Raises NotRecordable when pydantic can make nothing of it."""
    try:
        try:
            return TypeAdapter(annotation, config=_KEEP_NAN)
        except PydanticUserError as error:
            if error.code != "type-adapter-config-unused":
                raise
            return TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise NotRecordable(f"{annotation!r} is not a type that can be recorded: {_first_line(error)}") from None


def returned_by(fn: Callable[..., Any]) -> TypeAdapter[Any]:
    """The adapter of a function's return annotation, Any where it has none. Raises NotRecordable."""
    target = fn
    while isinstance(target, functools.partial):
        target = target.func
    if not (inspect.isroutine(target) or inspect.isclass(target)):
        target = type(target).__call__
    annotation = getattr(target, "__annotations__", {}).get("return", Any)
    if isinstance(annotation, str):
        annotation = _resolved(target)
    returned: Any = target if inspect.isclass(target) else annotation
    return adapter_of(returned)


def dump(adapter: TypeAdapter[T], value: Any) -> bytes:
    """The value as canonical bytes, after the adapter's type accepted it. Raises NotRecordable."""
    try:
        accepted = adapter.validate_python(value)
        plain = adapter.dump_python(accepted, mode="json", by_alias=False, round_trip=True, warnings="error")
        _refuse_odd(plain)
        return canonical.dump(plain)
    except (ValueError, TypeError, RecursionError) as error:
        raise NotRecordable(explain(error)) from None


def load(adapter: TypeAdapter[T], data: bytes) -> T:
    """The value of recorded bytes. Raises NotRecordable when they don't fit the type."""
    try:
        return read(adapter, data)
    except ValueError as error:
        raise NotRecordable(explain(error)) from None


def read(adapter: TypeAdapter[T], data: bytes) -> T:
    """The value of JSON bytes, by field name or alias. Raises ValidationError, MalformedJson."""
    try:
        return adapter.validate_json(data, by_alias=True, by_name=True)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] != "json_invalid":
            raise
    # The fast reader refuses lone surrogates, which canonical JSON may hold.
    return adapter.validate_python(canonical.load(data), by_alias=True, by_name=True)


def publish(adapter: TypeAdapter[Any], value: Any) -> bytes:
    """The value as clients read it, by alias and with computed fields, as canonical bytes. Raises NotRecordable."""
    kept = load(adapter, dump(adapter, value))
    try:
        shown = adapter.dump_python(kept, mode="json", by_alias=True)
        _refuse_odd(shown)
        return canonical.dump(shown)
    except (ValueError, TypeError, RecursionError) as error:
        raise NotRecordable(explain(error)) from None


def digest(*arguments: Any) -> bytes:
    """SHA-256 of the arguments' JSON form. Raises NotRecordable for one that has none."""
    try:
        return canonical.digest(*[plain(argument) for argument in arguments])
    except RecursionError:
        raise NotRecordable("it nests too deep, or contains itself") from None
    except (ValueError, TypeError) as error:
        raise NotRecordable(explain(error)) from None


def plain(value: Any) -> Any:
    """The value in JSON types, equal for equal values: sets are sorted, bytes and odd keys marked."""
    if value is None or type(value) in (str, bool, int):
        return value
    if isinstance(value, BaseModel):
        return plain(value.model_dump(round_trip=True))
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": b64encode(bytes(value)).decode()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, AnySet):
        return sorted((plain(item) for item in value), key=canonical.dump)
    return _plain_leaf(value)


def explain(error: Exception) -> str:
    """What is wrong, in one line, without the value itself."""
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'value'}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)[:5]
        )
    return _first_line(error)


def _plain_mapping(value: Mapping[Any, Any]) -> Any:
    if all(type(key) is str for key in value):
        return {key: plain(item) for key, item in value.items()}
    pairs = [[plain(key), plain(item)] for key, item in value.items()]
    return {"$pairs": sorted(pairs, key=canonical.dump)}


def _plain_leaf(value: Any) -> Any:
    if callable(value) or hasattr(value, "__next__"):
        raise NotRecordable(f"{type(value).__name__} is not a value that can be compared between runs")
    found = to_jsonable_python(value, inf_nan_mode="constants")
    _refuse_odd(found)
    return found


def _refuse_odd(value: Any, level: int = 0) -> None:
    """NaN and infinity are no JSON; deeper nesting than the readers allow could be written but never read."""
    if isinstance(value, float):
        if not isfinite(value):
            raise NotRecordable(f"{value} is not a number that JSON can hold")
    elif level >= _DEEPEST:
        raise NotRecordable(f"it nests deeper than {_DEEPEST} levels")
    elif isinstance(value, list):
        for item in value:
            _refuse_odd(item, level + 1)
    elif isinstance(value, dict):
        for item in value.values():
            _refuse_odd(item, level + 1)


def _resolved(fn: Callable[..., Any]) -> Any:
    try:
        return typing.get_type_hints(fn, include_extras=True).get("return", Any)
    except NameError as error:
        raise NotRecordable(f"the annotations of {getattr(fn, '__qualname__', fn)!r} name nothing: {error}") from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
