"""Partial output for one streaming client: each answer's text once, in order and from its start, or told to be void.

What a client has of a streamed step since its last `reset` is always the beginning of one answer. Where a piece is
missing (the client came in the middle, was too slow, or the bell was away) nothing follows until it was said again.
"""

from __future__ import annotations

from typing import Any

from app.jobs.told import Told

Step = tuple[str, str | None]


class Partial:
    """Knows what the client has. `resumed`: it may have more, from a connection before this one.

    `lacks` turns true when a piece was missing.
    """

    def __init__(self, resumed: bool) -> None:
        self._resumed = resumed
        self.lacks = False
        # The latest answer to each step, and how many of its characters the client has.
        self._latest: dict[Step, tuple[str, int]] = {}

    def told(self, kind: str, data: Any) -> list[Told]:
        """What the client is told of a note of the bell."""
        if kind == "delta":
            return [Told("delta", data)]
        step, answer = (data["step"], data["key"]), data["answer"]
        latest, _ = self._latest.get(step, ("", 0))
        if answer < latest:
            return []
        void = self._begin(step, answer) if kind == "reset" or answer != latest else []
        return void if kind == "reset" else [*void, *self._more(step, data["at"], data["text"])]

    def _begin(self, step: Step, answer: str) -> list[Told]:
        """A reset, unless the client surely has nothing of this step."""
        may_hold = self._latest[step][1] > 0 if step in self._latest else self._resumed
        self._latest[step] = (answer, 0)
        return [Told("reset", {"step": step[0], "key": step[1]})] if may_hold else []

    def _more(self, step: Step, at: int, text: str) -> list[Told]:
        """What of this text, which stands there in the answer, the client does not have yet."""
        answer, count = self._latest[step]
        self.lacks = self.lacks or at > count
        new = text[count - at :] if at <= count else ""
        self._latest[step] = (answer, count + len(new))
        return [Told("delta", {"step": step[0], "key": step[1], "text": new})] if new else []
