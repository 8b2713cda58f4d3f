"""Finds uses of context features that are not built yet, so that they stop start-up and not a job half-way."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

FEATURES = frozenset({"review"})


def unbuilt_features(fn: Callable[..., Any]) -> list[str]:
    """Lines such as `ctx.review in checks.py:12` for each use, in `fn` and in functions it hands its context to."""
    return sorted(set(_uses(fn, 0, set())))


def _uses(fn: Callable[..., Any], position: int | str, seen: set[Any]) -> Iterator[str]:
    """Uses of the parameter at `position` (or of that name); functions without source are passed over."""
    found = _read(fn)
    parameter = _parameter(fn, position)
    if found is None or parameter is None or (mark := (id(fn), parameter)) in seen:
        return
    seen.add(mark)
    tree, file, first_line = found
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is(node.value, parameter) and node.attr in FEATURES:
            yield f"{parameter}.{node.attr} in {file}:{first_line + node.lineno - 1}"
        elif isinstance(node, ast.Call):
            yield from _handed_on(fn, node, parameter, seen)


def _handed_on(fn: Callable[..., Any], call: ast.Call, parameter: str, seen: set[Any]) -> Iterator[str]:
    places: list[int | str] = [place for place, value in enumerate(call.args) if _is(value, parameter)]
    places += [word.arg for word in call.keywords if word.arg and _is(word.value, parameter)]
    callee = _named(fn, call.func) if places else None
    if inspect.isfunction(callee) or inspect.ismethod(callee):
        for place in places:
            yield from _uses(callee, place, seen)


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _named(fn: Callable[..., Any], node: ast.expr) -> Any:
    """What a dotted name in the function's body stands for, None when it can't be told without running it."""
    if isinstance(node, ast.Attribute):
        return getattr(_named(fn, node.value), node.attr, None)
    if not isinstance(node, ast.Name):
        return None
    try:
        scope = inspect.getclosurevars(fn)
    except (TypeError, ValueError):
        return None
    return {**scope.globals, **scope.nonlocals}.get(node.id)


def _read(fn: Callable[..., Any]) -> tuple[ast.AST, str, int] | None:
    try:
        lines, first_line = inspect.getsourcelines(fn)
        return ast.parse(textwrap.dedent("".join(lines))), inspect.getsourcefile(fn) or "?", first_line
    except (OSError, TypeError, SyntaxError):
        return None


def _parameter(fn: Callable[..., Any], position: int | str) -> str | None:
    names = list(inspect.signature(fn).parameters)
    if isinstance(position, str):
        return position if position in names else None
    return names[position] if position < len(names) else None
