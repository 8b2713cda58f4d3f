"""The JSON Schema that a model's answer should fit, in the form that providers enforce strictly."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema

from app.engine import codec

# Keywords that strict modes refuse or that only cost tokens; we check the answer with the author's model anyway.
_DROPPED = frozenset({
    "title", "default", "examples", "minLength", "maxLength", "uniqueItems", "minProperties", "maxProperties",
    "discriminator",
})  # fmt: skip
_NAMES_TO_SCHEMAS = frozenset({"properties", "$defs"})


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What an answer must be: `schema` and its name, or neither for plain text; `adapter` reads and records it."""

    adapter: TypeAdapter[Any]
    schema: dict[str, Any] | None
    schema_name: str | None


@functools.lru_cache(maxsize=1024)
def answer_form(output: Any) -> AnswerForm:
    """The form of `ask`'s `output`: str, or a type whose JSON is an object. Raises codec.NotRecordable."""
    adapter = codec.adapter_of(output)
    if output is str:
        return AnswerForm(adapter, None, None)
    try:
        schema = _strict(adapter.json_schema(by_alias=True))
    except PydanticInvalidForJsonSchema as error:
        raise codec.NotRecordable(f"has no JSON Schema: {codec.explain(error)}") from None
    if schema.get("type") != "object" and "$ref" not in schema:
        raise codec.NotRecordable("is no object: give str or a pydantic model with a field for it")
    return AnswerForm(adapter, schema, _name(output))


def _name(output: Any) -> str:
    name = getattr(output, "__name__", None) or "answer"
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:64]


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    strict = {_renamed(name): _member(name, value) for name, value in node.items() if name not in _DROPPED}
    if "properties" in strict:
        strict["required"] = list(strict["properties"])
        strict["additionalProperties"] = False
    return strict


def _renamed(keyword: str) -> str:
    return "anyOf" if keyword == "oneOf" else keyword


def _member(keyword: str, value: Any) -> Any:
    if keyword in _NAMES_TO_SCHEMAS:
        return {name: _strict(schema) for name, schema in value.items()}
    return value if keyword in ("enum", "const", "required") else _strict(value)
