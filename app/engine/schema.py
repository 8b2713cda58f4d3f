"""The form of a model's answer: its JSON Schema, as providers enforce it strictly, and how its text is read."""

from __future__ import annotations

import functools
import re
import typing
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, create_model
from pydantic.errors import PydanticInvalidForJsonSchema

from app.engine import codec

# Keywords that strict modes refuse or that only cost tokens; we check the answer with the author's model anyway.
_DROPPED = frozenset({
    "title", "default", "examples", "minLength", "maxLength", "uniqueItems", "minProperties", "maxProperties",
    "discriminator",
})  # fmt: skip
_NAMES_TO_SCHEMAS = frozenset({"properties", "$defs"})


# Strict modes want an object: it holds a list under this name.
_MEMBER = "items"


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What an answer must be: `schema` and its name, or neither for plain text; `adapter` records it.

    Of a list, `item` reads one element and `holder` the object that holds them all.
    """

    adapter: TypeAdapter[Any]
    schema: dict[str, Any] | None
    schema_name: str | None
    item: TypeAdapter[Any] | None = None
    holder: TypeAdapter[Any] | None = None

    def read(self, text: str) -> Any:
        """The value of an answer's text, one that can be recorded. Raises codec.NotRecordable."""
        if self.schema is None:
            return codec.load(self.adapter, codec.dump(self.adapter, text))
        value = self._value(_bare(text).encode("utf-8", "surrogatepass"))
        codec.dump(self.adapter, value)
        return value

    def _value(self, data: bytes) -> Any:
        if self.holder is None:
            return codec.load(self.adapter, data)
        bare = data.startswith(b"[")
        held = codec.load(self.holder, b'{"%s":%s}' % (_MEMBER.encode(), data) if bare else data)
        return getattr(held, _MEMBER)


@functools.lru_cache(maxsize=1024)
def answer_form(output: Any) -> AnswerForm:
    """The form of `ask`'s `output`: str, or a type whose JSON is an object. Raises codec.NotRecordable."""
    adapter = codec.adapter_of(output)
    if output is str:
        return AnswerForm(adapter, None, None)
    schema = _schema(adapter)
    if schema.get("type") != "object" and "$ref" not in schema:
        raise codec.NotRecordable("is no object: give str or a pydantic model with a field for it")
    return AnswerForm(adapter, schema, _name(output))


@functools.lru_cache(maxsize=1024)
def stream_form(output: Any) -> AnswerForm:
    """The form of `stream`'s `output`: str, or list[T]. Raises codec.NotRecordable."""
    if output is str:
        return answer_form(output)
    if typing.get_origin(output) is not list:
        raise codec.NotRecordable("is neither str nor a list[...]")
    (element,) = typing.get_args(output)
    held: Any = create_model("Items", items=(output, ...))
    holder = codec.adapter_of(held)
    return AnswerForm(codec.adapter_of(output), _schema(holder), _name(element), codec.adapter_of(element), holder)


def _schema(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    try:
        return dict(_strict(adapter.json_schema(by_alias=True)))
    except PydanticInvalidForJsonSchema as error:
        raise codec.NotRecordable(f"has no JSON Schema: {codec.explain(error)}") from None


def _bare(text: str) -> str:
    """The text without the code fence that some models put around JSON."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped:
        return stripped[stripped.index("\n") : -3].strip()
    return stripped


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
