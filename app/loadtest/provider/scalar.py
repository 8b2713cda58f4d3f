"""Makes strings, integers and numbers within the bounds of a JSON Schema node."""

import math
from collections.abc import Callable
from typing import Any

from app.loadtest.provider.draw import Draw
from app.loadtest.provider.pattern import matching
from app.loadtest.provider.schema import Node, UnsupportedSchema
from app.loadtest.provider.words import FORMATS, bounded

_LONGEST = 100_000


def make_scalar(kind: str, node: Node, draw: Draw) -> Any:
    """A value of a type that is neither object nor array. Raises UnsupportedSchema."""
    if kind not in _MAKERS:
        raise UnsupportedSchema(f"type {kind!r} is unknown")
    return _MAKERS[kind](node, draw)


def _string(node: Node, draw: Draw) -> str:
    low, high = node.get("minLength", 0), node.get("maxLength", _LONGEST)
    if low > high:
        raise UnsupportedSchema(f"no string is {low} to {high} characters long")
    if "pattern" in node:
        return _patterned(node["pattern"], low, high, draw)
    make = FORMATS.get(node.get("format", ""))
    return bounded(draw, low, high) if make is None else make(draw)


def _patterned(pattern: str, low: int, high: int, draw: Draw) -> str:
    for attempt in range(50):
        made = matching(pattern, draw.sub(attempt))
        if low <= len(made) <= high:
            return made
    raise UnsupportedSchema(f"no string of {low} to {high} characters was found for pattern {pattern!r}")


def _bounds(node: Node, span: float) -> tuple[float, float]:
    low = max(node.get("minimum", -math.inf), node.get("exclusiveMinimum", -math.inf))
    high = min(node.get("maximum", math.inf), node.get("exclusiveMaximum", math.inf))
    if low == -math.inf:
        low = 0 if high >= 0 else high - max(span, -high)
    return low, (max(low, 0) + max(span, abs(low)) if high == math.inf else high)


def _integer(node: Node, draw: Draw) -> int:
    low, high = _bounds(node, 100)
    step = max(1, int(node.get("multipleOf", 1)))
    first = -(-math.ceil(low) // step)
    last = math.floor(high) // step
    first += first * step == node.get("exclusiveMinimum")
    last -= last * step == node.get("exclusiveMaximum")
    if first > last:
        raise UnsupportedSchema(f"no integer lies between {low} and {high}")
    return (first + draw.below(last - first + 1)) * step


def _number(node: Node, draw: Draw) -> float:
    step = node.get("multipleOf")
    low, high = _bounds(node, 1 if step is None else 100 * step)
    candidates = _between(low, high, draw) if step is None else _multiples(step, low, high, draw)
    for value in candidates:
        if low <= value <= high and value not in (node.get("exclusiveMinimum"), node.get("exclusiveMaximum")):
            return float(value)
    raise UnsupportedSchema(f"no number lies between {low} and {high}")


def _between(low: float, high: float, draw: Draw) -> list[float]:
    share = draw.unit()
    drawn = low * (1 - share) + high * share
    return [round(drawn, 4), drawn, low / 2 + high / 2, low, high, math.nextafter(low, high)]


def _multiples(step: float, low: float, high: float, draw: Draw) -> list[float]:
    first, last = math.ceil(low / step), math.floor(high / step)
    return [(first + place) * step for place in (draw.below(max(1, last - first + 1)), 0, 1, 2)]


_MAKERS: dict[str, Callable[[Node, Draw], Any]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda node, draw: draw.pick((False, True)),
    "null": lambda node, draw: None,
}
