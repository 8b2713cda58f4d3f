"""Makes a valid value for a JSON Schema; the draw decides which, so the same draw makes the same value."""

import math
from typing import Any

from app.loadtest.provider.draw import Draw
from app.loadtest.provider.scalar import make_scalar
from app.loadtest.provider.schema import Node, UnsupportedSchema, branches, resolve, type_names, weight

_SMALL_FROM_DEPTH = 4
_SMALL_FROM_NODES = 300
_MOST_DEPTH = 60
_MOST_NODES = 5_000
_NO_VALUE = object()


def make_value(schema: Any, draw: Draw, root: Any = None) -> Any:
    """A value that fits the schema; `root` is where its references point, itself by default.

    Raises UnsupportedSchema where no value is known, or the schema is malformed.
    """
    try:
        root = schema if root is None else root
        return ValueMaker(root if isinstance(root, dict) else {}).make(schema, draw)
    except (TypeError, AttributeError, OverflowError, RecursionError, ZeroDivisionError) as error:
        raise UnsupportedSchema(f"the schema is malformed: {error}") from None


class ValueMaker:
    """Makes values for the nodes of one root schema. Deep or large values take their smallest branches."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._nodes = 0

    def make(self, node: Any, draw: Draw, depth: int = 0) -> Any:
        """A value for this node of the root schema. Raises UnsupportedSchema."""
        self._nodes += 1
        if depth > _MOST_DEPTH or self._nodes > _MOST_NODES:
            raise UnsupportedSchema("every value of this schema is endless, or too large")
        node = resolve(node, self._root)
        if "const" in node:
            return node["const"]
        if "enum" in node:
            return _member(node["enum"], draw)
        options = branches(node)
        if options is not None:
            return self._first_possible(self._ordered(options, draw, depth), draw, depth)
        kinds = type_names(node)
        return self._typed("null" if self._small(depth) and "null" in kinds else draw.pick(kinds), node, draw, depth)

    def _small(self, depth: int) -> bool:
        return depth >= _SMALL_FROM_DEPTH or self._nodes >= _SMALL_FROM_NODES

    def _ordered(self, options: list[Node], draw: Draw, depth: int) -> list[Node]:
        if self._small(depth):
            return sorted(options, key=lambda option: weight(option, self._root))
        first = draw.sub("branch").below(max(1, len(options)))
        return options[first:] + options[:first]

    def _first_possible(self, options: list[Node], draw: Draw, depth: int) -> Any:
        reason = UnsupportedSchema("an anyOf or oneOf without options has no value")
        for option in options:
            try:
                return self.make(option, draw, depth + 1)
            except UnsupportedSchema as error:
                reason = error
        raise reason

    def _typed(self, kind: str, node: Node, draw: Draw, depth: int) -> Any:
        if kind == "object":
            return self._object(node, draw, depth)
        if kind == "array":
            return self._array(node, draw, depth)
        return make_scalar(kind, node, draw)

    def _object(self, node: Node, draw: Draw, depth: int) -> dict[str, Any]:
        properties, required = node.get("properties", {}), node.get("required", ())
        made = {name: self.make(properties.get(name, {}), draw.sub(name), depth + 1) for name in required}
        most = node.get("maxProperties", math.inf)
        for name in properties:
            if name not in made and len(made) < most and not self._small(depth):
                self._add_optional(made, name, properties[name], draw, depth)
        self._add_free_keys(made, node, draw, depth)
        return {**{name: made[name] for name in properties if name in made}, **made}

    def _add_optional(self, made: dict[str, Any], name: str, node: Any, draw: Draw, depth: int) -> None:
        try:
            made[name] = self.make(node, draw.sub(name), depth + 1)
        except UnsupportedSchema:
            return

    def _add_free_keys(self, made: dict[str, Any], node: Node, draw: Draw, depth: int) -> None:
        free = node.get("additionalProperties", True)
        least = node.get("minProperties", 0)
        wished = 2 if isinstance(free, dict) and not node.get("properties") and not self._small(depth) else 0
        target = max(least, min(wished, node.get("maxProperties", math.inf)))
        if len(made) < target and free is False:
            raise UnsupportedSchema(f"minProperties {least} can't be reached without additionalProperties")
        while len(made) < target:
            name = f"key_{len(made) + 1}"
            made[name] = self.make(free, draw.sub(name), depth + 1)

    def _array(self, node: Node, draw: Draw, depth: int) -> list[Any]:
        first, rest = node.get("prefixItems", []), node.get("items", True)
        least, most = node.get("minItems", 0), node.get("maxItems", math.inf)
        wished = least if self._small(depth) else max(least, len(first), 1) + draw.sub("length").below(3)
        count = int(min(wished, most, len(first) if rest is False else math.inf))
        made: list[Any] = []
        for place in range(count):
            item = self._item(first[place] if place < len(first) else rest, made, node, draw.sub(place), depth)
            if item is _NO_VALUE:
                break
            made.append(item)
        if len(made) < least:
            raise UnsupportedSchema(f"minItems {least} can't be reached")
        return made

    def _item(self, item: Any, made: list[Any], node: Node, draw: Draw, depth: int) -> Any:
        if not node.get("uniqueItems"):
            return self.make(item, draw, depth + 1)
        for attempt in range(40):
            value = self.make(item, draw.sub(attempt), depth + 1)
            if value not in made:
                return value
        return _NO_VALUE


def _member(members: list[Any], draw: Draw) -> Any:
    if not members:
        raise UnsupportedSchema("an empty enum has no value")
    return draw.pick(members)
