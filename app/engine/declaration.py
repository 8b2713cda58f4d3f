"""Reads the function under `@workflow`: checks its form and takes its types and its description."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from app.domain.errors import LanewayError
from app.engine import codec
from app.engine.context import Context
from app.engine.unbuilt import unbuilt_features


class WorkflowDefinitionError(LanewayError):
    """A workflow is declared wrongly; the message names module and function, and says what to do."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What the function says about itself."""

    input_type: Any
    output_type: Any
    input_adapter: TypeAdapter[Any]
    output_adapter: TypeAdapter[Any]
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    description: str


def declared_by(fn: Callable[..., Any]) -> Declared:
    """Read the function. Raises WorkflowDefinitionError."""
    if not inspect.iscoroutinefunction(fn):
        refuse(fn, "is not async: write `async def`")
    input_type, output_type = _types(fn)
    input_adapter, output_adapter = _adapter(fn, "input", input_type), _adapter(fn, "output", output_type)
    refuse_unbuilt(fn)
    return Declared(
        input_type=input_type,
        output_type=output_type,
        input_adapter=input_adapter,
        output_adapter=output_adapter,
        input_schema=_schema(fn, "input", input_adapter, "validation"),
        output_schema=_schema(fn, "output", output_adapter, "serialization"),
        description=inspect.getdoc(fn) or "",
    )


def refuse(fn: Callable[..., Any], text: str) -> NoReturn:
    """Raise WorkflowDefinitionError about this function."""
    raise WorkflowDefinitionError(f"workflow function {place(fn)} {text}")


def refuse_unbuilt(fn: Callable[..., Any]) -> None:
    """Raises WorkflowDefinitionError when the function, or one it hands its context to, uses what is not built."""
    if uses := unbuilt_features(fn):
        refuse(fn, f"uses what this version of Laneway has not built yet: {', '.join(uses)}")


def place(fn: Callable[..., Any]) -> str:
    """Module, function and line, as people look for it."""
    code = getattr(fn, "__code__", None)
    line = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
    return f"{fn.__module__}.{getattr(fn, '__qualname__', fn)}{line}"


def _types(fn: Callable[..., Any]) -> tuple[Any, Any]:
    parameters = list(inspect.signature(fn).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(parameters) != 2 or any(one.kind not in positional for one in parameters):
        refuse(fn, "must take two parameters: `ctx: Context` and its input, for instance `review: Review`")
    try:
        hints = typing.get_type_hints(fn, include_extras=True)
    except Exception as error:
        refuse(fn, f"has an annotation that can't be resolved ({error}): define its types at module level")
    context, payload = parameters
    if hints.get(context.name) is not Context:
        refuse(fn, f"must take the context first: annotate `{context.name}: Context` (from laneway import Context)")
    for name in (payload.name, "return"):
        if name not in hints:
            refuse(fn, f"has no annotation for {name!r}: input and output need a type, best a pydantic model")
    return hints[payload.name], hints["return"]


def _adapter(fn: Callable[..., Any], what: str, annotation: Any) -> TypeAdapter[Any]:
    if annotation is Any or annotation is object:
        refuse(fn, f"leaves its {what} open ({annotation!r}): give it a type, best a pydantic model")
    try:
        return codec.adapter_of(annotation)
    except codec.NotRecordable as error:
        refuse(fn, f"has an {what} that pydantic can't validate: {error}")


def _schema(
    fn: Callable[..., Any], what: str, adapter: TypeAdapter[Any], mode: typing.Literal["validation", "serialization"]
) -> dict[str, Any]:
    try:
        return adapter.json_schema(by_alias=True, mode=mode)
    except PydanticUserError as error:
        refuse(fn, f"has an {what} without a JSON Schema: {codec.explain(error)}")
