"""The answers that are being written in this process, as far as they are: for who comes to watch in the middle."""

from __future__ import annotations

from typing import Any

from app.bell.inbox import Note

# Of one job so many characters are kept; who comes late to one that says more waits for its end.
MOST_TEXT = 400_000


class _Said:
    """What one job said."""

    def __init__(self) -> None:
        self.size = 0
        self.answers: dict[tuple[str, str | None], tuple[str, list[str]]] = {}


class Answers:
    """By job, its id in hexadecimal."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Said] = {}

    def note(self, job_id: str, kind: str, data: Any) -> None:
        """Keep a piece; drop what a reset makes void."""
        if kind not in ("piece", "reset"):
            return
        said = self._jobs.setdefault(job_id, _Said())
        step = (data["step"], data["key"])
        if kind == "reset" or data["at"] == 0:
            said.size -= sum(map(len, said.answers.pop(step, ("", []))[1]))
        if kind == "piece" and said.size <= MOST_TEXT:
            said.size += len(data["text"])
            said.answers.setdefault(step, (data["answer"], []))[1].append(data["text"])

    def so_far(self, job_id: str) -> list[Note]:
        """Each answer of the job in one piece."""
        said = self._jobs.get(job_id)
        if said is None or said.size > MOST_TEXT:
            return []
        return [
            ("piece", {"step": step, "key": key, "answer": answer, "at": 0, "text": "".join(texts)})
            for (step, key), (answer, texts) in said.answers.items()
        ]

    def forget(self, job_id: str) -> None:
        """It runs here no more."""
        self._jobs.pop(job_id, None)
