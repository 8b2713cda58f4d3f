"""The part of JSON Schema that Anthropic's structured output takes, and the constraints that a model reads in words."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

_COMMON = {"type", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "definitions", "description", "title", "default"}
_BY_TYPE = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems"},
    "string": {"format"},
}
_TYPES = {"object", "array", "string", "integer", "number", "boolean", "null"}
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
_SAY_WHAT = ("enum", "const", "anyOf", "allOf", "$ref")
_LISTS, _MAPS = ("anyOf", "allOf"), ("properties", "$defs", "definitions")
_NUMBER = re.compile(r'"?(\w+)"?: (-?\d+(?:\.\d+)?)')
_NUMERIC = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems"}


class UnfitSchema(ValueError):
    """The schema is outside the part that is taken; the message says where and why."""


def check(schema: Any) -> None:
    """Raises UnfitSchema where structured output doesn't take the schema."""
    try:
        _check(schema, "schema")
        _refuse_circles(schema)
    except (AttributeError, TypeError, RecursionError) as error:
        raise UnfitSchema(f"the schema is malformed: {error}") from None


def as_read(node: Any) -> Any:
    """The schema as a model reads it: constraints written as JSON at the end of a description are kept."""
    if isinstance(node, list):
        return [as_read(member) for member in node]
    if not isinstance(node, Mapping):
        return node
    read = {name: value if name in ("enum", "const") else as_read(value) for name, value in node.items()}
    description = node.get("description")
    return {**_written(description), **read} if isinstance(description, str) else read


def _written(description: str) -> dict[str, Any]:
    last = description.rsplit("\n\n", 1)[-1].strip()
    if not (last.startswith("{") and last.endswith("}")):
        return {}
    try:
        found = orjson.loads(last)
    except orjson.JSONDecodeError:
        found = {name: orjson.loads(number) for name, number in _NUMBER.findall(last) if name in _NUMERIC}
    return found if isinstance(found, dict) else {}


def _check(node: Any, place: str) -> None:
    if not isinstance(node, Mapping):
        raise UnfitSchema(f"{place}: {node!r} is not supported")
    kind = node.get("type")
    if kind is not None and (not isinstance(kind, str) or kind not in _TYPES):
        raise UnfitSchema(f"{place}.type: {kind!r} is not supported")
    if kind is None and not any(name in node for name in _SAY_WHAT):
        raise UnfitSchema(f"{place}: needs a type")
    for name in node.keys() - _COMMON - _BY_TYPE.get(kind or "", set()):
        raise UnfitSchema(f"{place}: for {kind!r} type, property {name!r} is not supported")
    _check_details(node, kind, place)
    for name, member in _members(node):
        _check(member, f"{place}.{name}")


def _check_details(node: Mapping[str, Any], kind: Any, place: str) -> None:
    if kind == "object" and node.get("additionalProperties") is not False:
        raise UnfitSchema(f"{place}: for 'object' type, 'additionalProperties' must be explicitly set to false")
    if node.get("minItems", 0) not in (0, 1):
        raise UnfitSchema(f"{place}: 'minItems' other than 0 and 1 is not supported")
    if node.get("format", "date") not in _FORMATS:
        raise UnfitSchema(f"{place}: format {node['format']!r} is not supported")
    if any(isinstance(member, list | dict) for member in node.get("enum", ())):
        raise UnfitSchema(f"{place}: an enum of objects or lists is not supported")


def _members(node: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = [(f"{name}.{key}", member) for name in _MAPS for key, member in node.get(name, {}).items()]
    found += [(f"{name}.{n}", member) for name in _LISTS for n, member in enumerate(node.get(name, ()))]
    return [*found, ("items", node["items"])] if "items" in node else found


def _refuse_circles(schema: Mapping[str, Any]) -> None:
    """Definitions must not lead back to themselves."""
    definitions = {f"#/{where}/{name}": node for where in _MAPS[1:] for name, node in schema.get(where, {}).items()}
    leads = {name: set(_references(node)) for name, node in definitions.items()}
    for start in leads:
        seen, ahead = set[str](), set(leads[start])
        while ahead:
            seen |= ahead
            ahead = {further for name in ahead for further in leads.get(name, ())} - seen
        if start in seen:
            raise UnfitSchema(f"schema: {start!r} contains itself, which is not supported")


def _references(node: Mapping[str, Any]) -> list[str]:
    inside = [reference for _, member in _members(node) for reference in _references(member)]
    return [*inside, node["$ref"]] if isinstance(node.get("$ref"), str) else inside
