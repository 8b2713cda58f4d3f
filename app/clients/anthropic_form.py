"""The form of an answer as Anthropic takes it: its part of JSON Schema where that says all, else a forced tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.clients.wire_json import schema_name
from app.domain import canonical

_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_FORMATS = frozenset({
    "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
})  # fmt: skip
_KEPT = frozenset({"type", "enum", "const", "required", "format", "$ref"})
_DROPPED = frozenset({"title", "default", "examples", "discriminator", "$schema", "$id", "additionalProperties"})
_DEFINITIONS = "#/$defs/"


class Unfit(Exception):
    """Structured output can't say this schema."""


def form_of(schema: dict[str, Any], name: str | None) -> dict[str, Any]:
    """The members of a request that ask for an answer in this form."""
    try:
        fitted = fit(schema)
    except Unfit:
        tool = {"name": schema_name(name), "description": "Gives the answer.", "input_schema": _rooted(schema)}
        choice = {"type": "tool", "name": tool["name"], "disable_parallel_tool_use": True}
        return {"tools": [tool], "tool_choice": choice}
    return {"output_config": {"format": {"type": "json_schema", "schema": fitted}}}


def fit(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema in the part that structured output takes: constraints outside of it become words.

    Raises Unfit where a value that the schema allows could not be given: open objects, tuples, types that contain
    themselves, values of any type.
    """
    definitions = schema.get("$defs", {})
    _refuse_circles(definitions)
    fitted = _fit({name: value for name, value in schema.items() if name != "$defs"})
    return {**fitted, "$defs": {name: _fit(node) for name, node in definitions.items()}} if definitions else fitted


def _fit(node: Any) -> dict[str, Any]:
    if not isinstance(node, dict):
        raise Unfit
    _check(node)
    fitted = {name: value for name, value in node.items() if name in _KEPT}
    words = {name: value for name, value in node.items() if name not in _KEPT and name not in _DROPPED}
    for name in ("anyOf", "oneOf"):
        if name in words:
            fitted["anyOf"] = [_fit(option) for option in words.pop(name)]
    if node.get("type") == "object":
        fitted["properties"] = {name: _fit(member) for name, member in words.pop("properties").items()}
        fitted["additionalProperties"] = False
    if node.get("type") == "array":
        fitted["items"] = _fit(words.pop("items"))
        if words.get("minItems") in (0, 1):
            fitted["minItems"] = words.pop("minItems")
    if "format" in fitted and fitted["format"] not in _FORMATS:
        words["format"] = fitted.pop("format")
    return _described(fitted, words)


def _check(node: dict[str, Any]) -> None:
    kind = node.get("type")
    says = kind in _TYPES if isinstance(kind, str) else kind is None
    named = kind is not None or any(name in node for name in ("enum", "const", "anyOf", "oneOf", "$ref"))
    open_ = kind == "object" and (not node.get("properties") or node.get("additionalProperties", False) is not False)
    tuple_ = kind == "array" and (not isinstance(node.get("items"), dict) or "prefixItems" in node)
    mixed = any(isinstance(member, list | dict) for member in [*node.get("enum", ()), node.get("const")])
    if not says or not named or open_ or tuple_ or mixed or "allOf" in node:
        raise Unfit


def _described(fitted: dict[str, Any], words: dict[str, Any]) -> dict[str, Any]:
    """Constraints stand as JSON at the end of the description, where a model reads them."""
    parts = [words.pop("description", "")]
    if words:
        parts.append(canonical.dump(words).decode())
    description = "\n\n".join(part for part in parts if part)
    return {**fitted, "description": description} if description else fitted


def _refuse_circles(definitions: Mapping[str, Any]) -> None:
    leads = {name: _references(node) for name, node in definitions.items()}
    for start in leads:
        seen, ahead = set[str](), leads[start]
        while ahead:
            seen |= ahead
            ahead = {further for name in ahead for further in leads.get(name, set())} - seen
        if start in seen:
            raise Unfit


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_references, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    reference = node.get("$ref")
    own = {reference.removeprefix(_DEFINITIONS)} if isinstance(reference, str) else set()
    return own.union(*map(_references, node.values()))


def _rooted(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with an object at its root, as tools need it: a reference there is put into its place."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    target = schema.get("$defs", {}).get(reference.removeprefix(_DEFINITIONS), {})
    return {**target, "$defs": schema["$defs"]} if target else schema
