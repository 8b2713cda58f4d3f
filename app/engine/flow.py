"""What arrives of a stream, over all tries of one run: items handed out once, in the order of the answer."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import TypeAdapter

from app.domain import ids
from app.engine import codec
from app.engine.items import ItemReader

Tell = Callable[[str, Any], None]


class Flow(ABC):
    """Hears the answer of each try. A later try must say again what was handed out; else it is only heard to its end.

    `tell` gets what streaming clients are sent: each piece with its answer's name and its place in it (in characters),
    so that nobody mixes two answers, and a reset when an answer is void.
    """

    def __init__(self, step: tuple[str, str], tell: Tell) -> None:
        self.ready: deque[Any] = deque()
        self.arrived = asyncio.Event()
        self._step = {"step": step[0], "key": step[1] or None}
        self._tell = tell
        self._answer = ""
        self._told = 0
        self._same = True

    def begin(self) -> None:
        """An answer begins; one that had begun before is void."""
        if self._told:
            self._tell("reset", {**self._step, "answer": self._answer})
        # Names of later answers sort behind it.
        self._answer = ids.uuid7().hex
        self._told = 0
        self._same = True
        self._restart()

    def text(self, piece: str) -> None:
        """Its next piece."""
        self._tell("piece", {**self._step, "answer": self._answer, "at": self._told, "text": piece})
        self._told += len(piece)
        if self._same:
            self._same = self._take(piece)

    def hand_out(self, item: Any) -> None:
        """Make an item ready."""
        self.ready.append(item)
        self.arrived.set()

    @abstractmethod
    def rest(self, answer: Any) -> Sequence[Any] | None:
        """What of the whole answer was not handed out; None when something else was."""

    @abstractmethod
    def _restart(self) -> None:
        """Forget the try before."""

    @abstractmethod
    def _take(self, piece: str) -> bool:
        """Hand out what is new; False once the answer is another than the one before, or is none."""


class TextFlow(Flow):
    """A text in pieces."""

    def __init__(self, step: tuple[str, str], tell: Tell) -> None:
        super().__init__(step, tell)
        self._given = ""
        self._now = ""

    def rest(self, answer: str) -> Sequence[str] | None:
        """The end of the text."""
        if not answer.startswith(self._given):
            return None
        return [left] if (left := answer[len(self._given) :]) else []

    def _restart(self) -> None:
        self._now = ""

    def _take(self, piece: str) -> bool:
        self._now += piece
        common = min(len(self._now), len(self._given))
        if self._now[:common] != self._given[:common]:
            return False
        if new := self._now[common:]:
            self._given = self._now
            self.hand_out(new)
        return True


class ListFlow(Flow):
    """Elements of a list, each checked as soon as it is whole."""

    def __init__(self, step: tuple[str, str], tell: Tell, element: TypeAdapter[Any]) -> None:
        super().__init__(step, tell)
        self._element = element
        self._given: list[bytes] = []
        self._restart()

    def rest(self, answer: list[Any]) -> Sequence[Any] | None:
        """The elements after those that were handed out."""
        count = len(self._given)
        same = [codec.dump(self._element, one) for one in answer[:count]] == self._given
        return answer[count:] if same else None

    def _restart(self) -> None:
        self._reader = ItemReader()
        self._place = 0

    def _take(self, piece: str) -> bool:
        try:
            return all(self._know(text) for text in self._reader.feed(piece))
        except codec.NotRecordable:
            return False

    def _know(self, text: str) -> bool:
        item = codec.load(self._element, text.encode("utf-8", "surrogatepass"))
        mark = codec.dump(self._element, item)
        self._place += 1
        if self._place <= len(self._given):
            return self._given[self._place - 1] == mark
        self._given.append(mark)
        self.hand_out(item)
        return True
