"""Answers that a test wrote down: by item, one or several in turn, each a text, a JSON answer or an error kind."""

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, RootModel

from app.loadtest.provider.fault import ErrorKind


class ScriptedFault(BaseModel):
    """`{"$fault": "<error kind>"}` in the place of an answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: ErrorKind = Field(alias="$fault")


class _Script(RootModel[dict[str, Any]]):
    pass


class AnswerScript:
    """The written answers by item. A list is used in turn and its last member stays."""

    def __init__(self) -> None:
        self._turns: dict[str, list[str | ScriptedFault]] = {}

    def put(self, given: Any) -> None:
        """Replaces everything by `{"<item>": <answer> | "<text>" | [several in turn]}`. Raises ValidationError."""
        self._turns = _read(given)

    def patch(self, given: Any) -> None:
        """Adds or replaces these items only. Raises pydantic.ValidationError and changes nothing."""
        self._turns |= _read(given)

    def clear(self) -> None:
        """Forgets every written answer."""
        self._turns = {}

    def left(self) -> dict[str, list[Any]]:
        """What is still to be answered, by item."""
        return {
            item: [turn if isinstance(turn, str) else turn.model_dump(by_alias=True) for turn in turns]
            for item, turns in self._turns.items()
        }

    def take(self, item: str) -> str | ScriptedFault | None:
        """The next written answer for this item."""
        turns = self._turns.get(item)
        if turns is None:
            return None
        return turns.pop(0) if len(turns) > 1 else turns[0]


def _read(given: Any) -> dict[str, list[str | ScriptedFault]]:
    script = _Script.model_validate(given).root
    return {item.strip(): _turns(answers) for item, answers in script.items()}


def _turns(answers: Any) -> list[str | ScriptedFault]:
    several = answers if isinstance(answers, list) and answers else [answers]
    return [_turn(answer) for answer in several]


def _turn(answer: Any) -> str | ScriptedFault:
    if isinstance(answer, str):
        return answer
    if isinstance(answer, Mapping) and "$fault" in answer:
        return ScriptedFault.model_validate(answer)
    return orjson.dumps(answer).decode()
