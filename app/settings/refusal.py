"""Says why settings are refused: each key, the rule it breaks, and the variable it came from where that is to blame."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

PREFIX = "LANEWAY_"
_NESTED = "__"
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"), (int, "a whole number"), (float, "a number"), (str, "a text"), (list, "a list"),
)  # fmt: skip
_Key = tuple[str, ...]


class Broken(ValueError):
    """A rule is broken at a key below the one that is being validated."""

    def __init__(self, rule: str, *key: str) -> None:
        super().__init__(rule)
        self.key = key


def explain(error: ValidationError, path: Path | None, environment: Mapping[str, str]) -> str:
    """A line for each refused key, with the variable that is to blame before it; never a value, which may be secret."""
    lines, blamed = [], set()
    for item in error.errors(include_url=False):
        key, rule = _key(item), _rule(item)
        shown, variable = ".".join(key), _variable(key, item["type"] == "missing", environment)
        blamed.add("environment" if variable else str(path or "environment"))
        lines.append(f"  {variable} ({shown}): {rule}" if variable else f"  {shown}: {rule}")
    return "\n".join([f"The configuration is refused ({', '.join(sorted(blamed))}):", *lines])


def unreadable(field: str, environment: Mapping[str, str]) -> str:
    """Why a variable of this field is refused that had to be JSON."""
    found = [name for name, path in _own(environment) if path[0] == field and _json(environment[name]) is None]
    names = ", ".join(found) or f"{PREFIX}{field.upper()}"
    return f"The configuration is refused (environment):\n  {names} ({field}): is not valid JSON"


def _key(item: ErrorDetails) -> _Key:
    broken = item.get("ctx", {}).get("error")
    below = broken.key if isinstance(broken, Broken) else ()
    return (*map(str, item["loc"]), *below)


def _rule(item: ErrorDetails) -> str:
    """The rule that is broken, and of what kind the value is."""
    if item["type"] == "extra_forbidden":
        return "unknown key: remove it or correct its name"
    if isinstance(own := item.get("ctx", {}).get("error"), ValueError):
        return str(own)
    kind = next((name for kind, name in _KINDS if isinstance(item["input"], kind)), None)
    return item["msg"] if kind is None or item["type"] == "missing" else f"{item['msg']} (given: {kind})"


def _variable(key: _Key, missing: bool, environment: Mapping[str, str]) -> str | None:
    """The variable that gave this key its value, or a part of it; of a missing one, a part of what lacks it."""
    lowered = tuple(part.lower() for part in key)
    whole = lowered[:-1] if missing else lowered
    if not whole:
        return None
    found = [
        name
        for name, path in _own(environment)
        if path[: len(whole)] == whole
        or (whole[: len(path)] == path and _holds(_json(environment[name]), whole[len(path) :]))
    ]
    return max(found, key=len, default=None)


def _own(environment: Mapping[str, str]) -> Iterable[tuple[str, _Key]]:
    """Each variable of ours that is set, and the path it stands for."""
    for name, text in environment.items():
        if text and name.upper().startswith(PREFIX):
            yield name, tuple(name[len(PREFIX) :].lower().split(_NESTED))


def _holds(value: Any, rest: Sequence[str]) -> bool:
    for part in rest:
        if isinstance(value, list):
            value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
        else:
            value = next((own for name, own in value.items() if name.lower() == part), None) if value else None
        if value is None:
            return False
    return True


def _json(text: str) -> Any:
    """The table or list that it is; None for anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None
