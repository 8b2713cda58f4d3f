"""Partial output for one streaming client: each answer's pieces once, in order, from its start; or told to be void.

What a client has of a streamed step since its last `reset` is always the beginning of one answer. Where a piece is
missing (the client came in the middle, was too slow, or the bell was away) the rest is left out until the worker has
said the whole again.
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
        # The latest answer to each step, and the number of the piece that continues what the client has of it.
        self._latest: dict[Step, tuple[str, int | None]] = {}

    def told(self, kind: str, data: Any) -> list[Told]:
        """What the client is told of a note of the bell."""
        if kind == "delta":
            return [Told("delta", data)]
        step, answer = (data["step"], data["key"]), data["answer"]
        latest, following = self._latest.get(step, ("", None))
        if answer < latest:
            return []
        if kind == "reset":
            return self._void(step, answer)
        if data["n"] == 0:
            said_for_others = answer == latest and following is not None
            return [] if said_for_others else [*self._void(step, answer), self._piece(step, data)]
        if (answer, data["n"]) == (latest, following):
            return [self._piece(step, data)]
        self.lacks = True
        return self._void(step, answer)

    def _piece(self, step: Step, data: Any) -> Told:
        self._latest[step] = (data["answer"], data.get("next", data["n"] + 1))
        return Told("delta", {"step": data["step"], "key": data["key"], "text": data["text"]})

    def _void(self, step: Step, answer: str) -> list[Told]:
        """A reset, unless the client surely has nothing of this step."""
        surely_nothing = not self._resumed if step not in self._latest else self._latest[step][1] is None
        self._latest[step] = (answer, None)
        return [] if surely_nothing else [Told("reset", {"step": step[0], "key": step[1]})]
