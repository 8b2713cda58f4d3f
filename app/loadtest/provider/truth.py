"""The true answers by item, how often each model gives them, and wrong answers that still fit the schema."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from app.loadtest.provider.draw import Draw
from app.loadtest.provider.schema import UnsupportedSchema, choices, resolve
from app.loadtest.provider.value import make_value

_MOST_MEMBERS = 20
_WHOLE = ""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    item: str
    answer: Any


class Accuracy:
    """The share of true answers by model; `*` is every other model."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._shares = {"*": 0.9} | dict(shares)

    def is_true(self, draw: Draw, model: str) -> bool:
        """Whether this draw (of seed, model and item) answers truly."""
        return draw.sub("accuracy").unit() < self._shares.get(model, self._shares["*"])


class Truth:
    """The true answers by item."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers
        self._members = _members(answers.values())

    def get(self, item: str) -> Any:
        """The true answer, or None where none is known."""
        return self._answers.get(item)

    def wrong(self, answer: Any, schema: Any, draw: Draw) -> Any:
        """The answer with another member for each field that offers a choice; if none does, with other values."""
        fields = answer if isinstance(answer, dict) else {_WHOLE: answer}
        changed = {name: self._other(name, value, schema, draw.sub(name)) for name, value in fields.items()}
        changed = {name: value for name, value in changed.items() if value != fields[name]}
        if not changed:
            changed = {
                name: _unlike(value, _field(schema, name), schema, draw.sub(name)) for name, value in fields.items()
            }
        return {**fields, **changed} if isinstance(answer, dict) else changed[_WHOLE]

    def _other(self, name: str, value: Any, schema: Any, draw: Draw) -> Any:
        found: Sequence[Any] = self._members.get(name, ())
        if schema is not None:
            found = choices(_field(schema, name), schema)
        others = [member for member in found if member != value]
        return draw.pick(others) if others else value


def load_truth(path: Path) -> Truth:
    """Reads JSON lines `{"item": "<text>", "answer": ...}`. Raises ValueError that names the file and line."""
    answers: dict[str, Any] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                read = _read(line, f"{path}, line {number}")
                answers[read.item.strip()] = read.answer
    return Truth(answers)


def _read(line: bytes, place: str) -> _Line:
    try:
        return _Line.model_validate(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{place}: not JSON: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{place}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _members(answers: Any) -> dict[str, list[Any]]:
    """The values seen for each field, for fields that take few different ones."""
    seen: dict[str, list[Any]] = {}
    for answer in answers:
        for name, value in (answer if isinstance(answer, dict) else {_WHOLE: answer}).items():
            known = seen.setdefault(name, [])
            if len(known) <= _MOST_MEMBERS and value not in known:
                known.append(value)
    return {name: known for name, known in seen.items() if len(known) <= _MOST_MEMBERS}


def _field(schema: Any, name: str) -> Any:
    if schema is None or name == _WHOLE:
        return schema
    return resolve(schema, schema).get("properties", {}).get(name, {})


def _unlike(value: Any, node: Any, root: Any, draw: Draw) -> Any:
    kinds = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    node = node or {"type": kinds.get(type(value), "string")}
    for attempt in range(8):
        try:
            made = make_value(node, draw.sub(attempt), root)
        except UnsupportedSchema:
            return value
        if made != value:
            return made
    return value
