"""Reads JSON Schema nodes: references, allOf, the ways a node may branch, and how heavy its smallest value is."""

from collections.abc import Mapping
from typing import Any

Node = Mapping[str, Any]

_TYPE_BY_KEYWORD = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "minProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "maxItems": "array",
    "minimum": "number",
    "maximum": "number",
    "exclusiveMinimum": "number",
    "exclusiveMaximum": "number",
    "multipleOf": "number",
    "pattern": "string",
}
_RAISED = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_LOWERED = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_UNKNOWN = ("not", "if", "contains", "dependentRequired", "dependentSchemas", "propertyNames", "$dynamicRef")
_CHOICE_TYPES: dict[str, tuple[Any, ...]] = {"boolean": (False, True), "null": (None,)}
_ENDLESS = 10**6


class UnsupportedSchema(ValueError):
    """No value can be made for this schema; the message says which part of it is in the way."""


def resolve(node: Any, root: Node) -> Node:
    """The node with its `$ref` and `allOf` merged in. Raises UnsupportedSchema."""
    seen = 0
    while isinstance(node, Mapping) and ("$ref" in node or "allOf" in node):
        seen += 1
        if seen > 50:
            raise UnsupportedSchema("$ref and allOf lead round in a circle")
        node = _unfold(node, root)
    return _checked(node)


def branches(node: Node) -> list[Node] | None:
    """The alternatives of `anyOf` or `oneOf`, each with the node's other keywords; None where it has neither."""
    for keyword in ("anyOf", "oneOf"):
        if keyword in node:
            rest = {name: value for name, value in node.items() if name not in (keyword, "discriminator")}
            return [{"allOf": [rest, option]} if rest.keys() - _NOTES else option for option in node[keyword]]
    return None


def type_names(node: Node) -> list[str]:
    """The types that a resolved node without branches allows; a missing `type` is read from its other keywords."""
    named = node.get("type")
    if named is None:
        return [next((kind for keyword, kind in _TYPE_BY_KEYWORD.items() if keyword in node), "string")]
    return [named] if isinstance(named, str) else list(named)


def choices(node: Any, root: Node, hops: int = 4) -> list[Any]:
    """Every value of a node that offers a choice (enum, const, boolean, null, or branches of these); else empty."""
    if hops == 0:
        return []
    node = resolve(node, root)
    if "enum" in node:
        return list(node["enum"])
    if "const" in node:
        return [node["const"]]
    options = branches(node)
    if options is not None:
        return [member for option in options for member in choices(option, root, hops - 1)]
    return list(_CHOICE_TYPES.get(type_names(node)[0], ()))


def weight(node: Any, root: Node, hops: int = 4) -> int:
    """How heavy the smallest value of a node is; a node that must contain itself weighs most."""
    if hops == 0:
        return _ENDLESS
    try:
        node = resolve(node, root)
    except UnsupportedSchema:
        return _ENDLESS
    if "enum" in node or "const" in node:
        return 1
    options = branches(node)
    if options is not None:
        return min((weight(option, root, hops - 1) for option in options), default=_ENDLESS)
    return min(_type_weight(kind, node, root, hops) for kind in type_names(node))


def _type_weight(kind: str, node: Node, root: Node, hops: int) -> int:
    if kind == "object":
        properties = node.get("properties", {})
        return 3 + sum(weight(properties.get(name, {}), root, hops - 1) for name in node.get("required", ()))
    if kind == "array":
        return 2 + (weight(node.get("items", {}), root, hops - 1) if node.get("minItems", 0) else 0)
    return 0 if kind == "null" else 1


_NOTES = {"title", "description", "default", "examples", "$schema", "$defs", "definitions", "$id", "$comment"}


def _unfold(node: Node, root: Node) -> Any:
    rest = {name: value for name, value in node.items() if name not in ("$ref", "allOf")}
    parts = list(node.get("allOf", ()))
    if "$ref" in node:
        parts.insert(0, _target(node["$ref"], root))
    merged: Node = rest
    for part in parts:
        merged = _merge(_checked(part), merged)
    return merged


def _target(reference: Any, root: Node) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise UnsupportedSchema(f"$ref {reference!r} does not point into the schema itself")
    found: Any = root
    for token in reference[1:].split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            raise UnsupportedSchema(f"$ref {reference!r} points to nothing")
        found = found[name]
    return found


def _checked(node: Any) -> Node:
    if node is True:
        return {}
    if not isinstance(node, Mapping):
        raise UnsupportedSchema(f"{node!r} is not a schema that any value fits")
    for keyword in _UNKNOWN:
        if keyword in node:
            raise UnsupportedSchema(f"keyword {keyword!r} is not supported by the simulated provider")
    return node


def _merge(base: Node, over: Node) -> Node:
    merged = {**base, **over}
    for name in base.keys() & over.keys():
        merged[name] = _both(name, base[name], over[name])
    return merged


def _both(name: str, base: Any, over: Any) -> Any:
    if name in _RAISED:
        return max(base, over)
    if name in _LOWERED:
        return min(base, over)
    if name == "required":
        return list(dict.fromkeys([*base, *over]))
    if name == "enum":
        return [member for member in base if member in over]
    if name in ("properties", "$defs"):
        shared = base.keys() & over.keys()
        return {**base, **over, **{key: {"allOf": [base[key], over[key]]} for key in shared}}
    if name in ("$ref", "allOf", "anyOf", "oneOf") and base != over:
        raise UnsupportedSchema(f"two {name} for one value are not supported by the simulated provider")
    return over
