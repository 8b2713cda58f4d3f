"""The three journals outside the system: what clients were told, what steps did, what the receiver and provider saw.

Each line is on disk before whoever wrote it goes on, so that no kill can unsay it.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class StepMark:
    """A step began or ended; `name` is the job's own, `key` the idempotency key it would show to the outside."""

    at: float
    name: str
    step: int
    edge: str
    key: str
    pid: int = field(default_factory=os.getpid)


@dataclass(frozen=True, slots=True)
class Told:
    """One answer to a submit: the job's id and status, or None and what went wrong; `key` is the
    Idempotency-Key; `waits`: the answer was to come at the job's end; `retry_after` is that header."""

    asked_at: float
    at: float
    key: str
    id: str | None
    status: int | None
    error: str | None = None
    waits: bool = False
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook that arrived."""

    at: str
    id: str
    type: str
    job_id: str
    status: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One call that reached the provider; `item` names job and question."""

    item: str
    key: str


def append(journal: str | Path, *found: StepMark | Told) -> None:
    """Write lines durably, in one piece."""
    text = b"".join(json.dumps(asdict(line)).encode() + b"\n" for line in found)
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, text)
        os.fsync(handle)
    finally:
        os.close(handle)


class Scribe:
    """Notes for many clients of one loop: lines that come while others are being written go to disk together."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._waiting: list[Told] = []
        self._writing = asyncio.Lock()

    async def note(self, line: Told) -> None:
        """Return once it is on disk."""
        self._waiting.append(line)
        async with self._writing:
            if any(one is line for one in self._waiting):
                together, self._waiting = self._waiting, []
                await asyncio.to_thread(append, self._journal, *together)


def marks(journal: Path) -> list[StepMark]:
    """What steps did, in order."""
    return [StepMark(**line) for line in lines(journal)]


def told(journal: Path) -> list[Told]:
    """What clients were told, in order."""
    return [Told(**line) for line in lines(journal)]


def hooks(journal: Path, path: str) -> list[Hook]:
    """The webhooks that came to this path."""
    return [_hook(line) for line in lines(journal) if line["path"] == path]


def asked(journal: Path) -> list[Asked]:
    """The calls that arrived at the provider."""
    calls = [line["call"] for line in lines(journal) if line["event"] == "arrived"]
    return [Asked(call["item"], call["idempotency_key"]) for call in calls]


def lines(journal: Path) -> list[dict[str, Any]]:
    """The whole lines; one that is being written is left out."""
    if not journal.exists():
        return []
    return [json.loads(line) for line in journal.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


class Tail:
    """Follows a journal: each line is given once."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._read = 0

    def lines(self) -> list[dict[str, Any]]:
        """The whole lines that came since the last time."""
        if not self._journal.exists():
            return []
        with self._journal.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


def _hook(line: dict[str, Any]) -> Hook:
    body = json.loads(line["body"])
    return Hook(line["at"], line["headers"]["webhook-id"], body["type"], body["data"]["id"], line["status"])
