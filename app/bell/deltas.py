"""Deltas: partial output on its way to streaming clients, joined for about 30 ms; kept nowhere, and may be lost."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from app.bell.answers import Answers
from app.bell.inbox import Inbox, Note
from app.bell.recent import Recent
from app.domain import canonical

DELTA = "laneway:delta"
_TOGETHER_S = 0.03
# What a note takes in memory besides its text.
_NOTE_BYTES = 200


class Deltas:
    """Both ends of the channel. A message has a line for each job: its id and a list of deltas."""

    def __init__(self, publish: Callable[[str, str], Awaitable[None]]) -> None:
        self._publish = publish
        self._waiting: dict[str, list[Note]] = {}
        self._watchers: dict[str, set[Inbox]] = defaultdict(set)
        self._answers = Answers()
        self._recent = Recent()
        self._task: asyncio.Task[None] | None = None
        self._in_order = asyncio.Lock()

    def send(self, job_id: UUID, kind: str, data: Any) -> None:
        """Tell who watches the job; the first at once, what comes soon after it together."""
        self._answers.note(job_id.hex, kind, data)
        self._put(job_id.hex, [(kind, data)])

    def again(self, message: str) -> None:
        """Tell who came late to these jobs what their answers here say so far."""
        for job_id in message.split(","):
            if notes := self._answers.so_far(job_id):
                self._put(job_id, notes)

    def forget(self, job_id: UUID) -> None:
        """The job runs here no more."""
        self._answers.forget(job_id.hex)

    async def flush(self) -> None:
        """Publish what waits."""
        async with self._in_order:
            waiting, self._waiting = self._waiting, {}
            if waiting:
                lines = [f"{job_id} {canonical.dump(deltas).decode()}" for job_id, deltas in waiting.items()]
                await self._publish(DELTA, "\n".join(lines))

    @contextmanager
    def watching(self, job_id: UUID, *, recent: bool = False) -> Iterator[Inbox]:
        """An inbox of the job's moves and deltas from now on, or from what was heard `recent`ly."""
        inbox = Inbox()
        for message in self._recent.of(job_id.hex) if recent else ():
            _hand_out(message, (inbox,))
        self._watchers[job_id.hex].add(inbox)
        try:
            yield inbox
        finally:
            self._watchers[job_id.hex].discard(inbox)
            if not self._watchers[job_id.hex]:
                del self._watchers[job_id.hex]

    def on_message(self, message: str) -> None:
        """Hand a message to the watchers of its jobs."""
        for line in message.split("\n"):
            job_id, _, deltas = line.partition(" ")
            self._heard(job_id, deltas)

    def moved(self, job_id: str, ended: bool) -> None:
        """Tell the watchers of the job, by its id in hexadecimal, that it moved, and whether it may have ended."""
        self._heard(job_id, ended)

    def _heard(self, job_id: str, message: str | bool) -> None:
        self._recent.keep(job_id, message)
        if inboxes := self._watchers.get(job_id):
            _hand_out(message, inboxes)

    def _put(self, job_id: str, notes: list[Note]) -> None:
        self._waiting.setdefault(job_id, []).extend(notes)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while self._waiting:
            await self.flush()
            await asyncio.sleep(_TOGETHER_S)


def _hand_out(message: str | bool, inboxes: Collection[Inbox]) -> None:
    """Put deltas as they came, or a move, into the inboxes."""
    if isinstance(message, bool):
        for inbox in inboxes:
            inbox.moved(message)
        return
    notes = canonical.load(message)
    size = len(message) // len(notes) + _NOTE_BYTES
    for kind, data in notes:
        for inbox in inboxes:
            inbox.delta((kind, data), size)
