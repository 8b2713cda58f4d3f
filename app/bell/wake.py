"""Wake-ups: who waits for a job, a lane or a cancel, or watches a job, is told by one Redis channel each.

A lost message costs only time, a lost delta only its sight.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any
from uuid import UUID

from arq.connections import ArqRedis

from app.bell.deltas import DELTA, Deltas
from app.bell.inbox import Inbox
from app.bell.redis import AWAY
from app.telemetry.logs import log
from app.telemetry.loop import end, keep_running

MOVED = "laneway:moved"
RUNNING = "laneway:running"
CANCEL = "laneway:cancel"
WATCH = "laneway:watch"
Listener = Callable[[str], None]


class Wake:
    """Publishes and listens on one connection for each process."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis
        self._listeners: dict[str, Listener] = {}
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._outbox: dict[str, list[str]] = {}
        self._deltas = Deltas(self._publish_now)
        self._sender: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._log = log("bell")
        self.connected = False

    def moved(self, job_ids: Iterable[UUID], *, running: bool = False) -> None:
        """Tell every process that these jobs have a new revision; `running`: it is no end of anybody's wait for one."""
        self._publish(RUNNING if running else MOVED, [job_id.hex for job_id in job_ids])

    def cancel(self, job_id: UUID) -> None:
        """Tell the worker that runs the job to look at its flag now."""
        self._publish(CANCEL, [job_id.hex])

    def delta(self, job_id: UUID, kind: str, data: Any) -> None:
        """Send partial output to who watches the job: a kind and JSON data. Nobody waits for it."""
        self._deltas.send(job_id, kind, data)

    def watching(self, job_id: UUID, *, recent: bool = False) -> AbstractContextManager[Inbox]:
        """An inbox of the job's moves and deltas from now on, in order; only where `start` was told of jobs.

        `recent` begins with what was heard within the last seconds.
        """
        return self._deltas.watching(job_id, recent=recent)

    def catch_up(self, job_id: UUID) -> None:
        """Ask the worker that runs the job to say again what its streamed answers say so far."""
        self._publish(WATCH, [job_id.hex])

    def forget(self, job_id: UUID) -> None:
        """The job runs here no more."""
        self._deltas.forget(job_id)

    def listen(self, channel: str, listener: Listener) -> None:
        """Call `listener` with each message of the channel; before `start`."""
        self._listeners[channel] = listener

    @contextmanager
    def waiting(self, job_id: UUID, *, running: bool = True) -> Iterator[asyncio.Event]:
        """An event that is set at each move of the job, from now on; without `running` not by a start or progress."""
        event = asyncio.Event()
        words = [f"{MOVED} {job_id.hex}", *([f"{RUNNING} {job_id.hex}"] if running else [])]
        for word in words:
            self._waiting[word].add(event)
        try:
            yield event
        finally:
            for word in words:
                self._waiting[word].discard(event)
                if not self._waiting[word]:
                    del self._waiting[word]

    def start(self, jobs: bool) -> None:
        """Begin to listen; `jobs` when clients of this process wait for jobs, else it runs them."""
        if jobs:
            for channel in (MOVED, RUNNING):
                self.listen(channel, partial(self._on_moved, channel))
            self.listen(DELTA, self._deltas.on_message)
        else:
            self.listen(WATCH, self._deltas.again)
        if self._listeners:
            self._reader = asyncio.get_running_loop().create_task(keep_running("wake", self._read))

    async def close(self) -> None:
        """Stop listening; what was to be published is sent first, within a second; after that nothing is."""
        if self._sender is not None:
            await asyncio.wait({self._sender}, timeout=1)
            await end(self._sender)
        if self._reader is not None:
            await end(self._reader)

    def _on_moved(self, channel: str, message: str) -> None:
        for job_id in message.split(","):
            for event in self._waiting.get(f"{channel} {job_id}", ()):
                event.set()
            self._deltas.moved(job_id, channel == MOVED)

    def _publish(self, channel: str, words: Sequence[str]) -> None:
        if not words:
            return
        self._outbox.setdefault(channel, []).extend(words)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while self._outbox:
            # What a job said comes before its next move, above all before its end.
            await self._deltas.flush()
            outbox, self._outbox = self._outbox, {}
            for channel, words in outbox.items():
                await self._publish_now(channel, ",".join(words))

    async def _publish_now(self, channel: str, message: str) -> None:
        with suppress(*AWAY):
            await self._redis.publish(channel, message)

    async def _read(self) -> None:
        while True:
            try:
                await self._read_until_broken()
            except AWAY as error:
                self._log.warning("wake-ups are away", error=type(error).__name__)
            self.connected = False
            await asyncio.sleep(0.2)

    async def _read_until_broken(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(*self._listeners)
            self.connected = True
            while True:
                message = await pubsub.get_message(timeout=5)
                if message is None:
                    await pubsub.ping()
                elif message["type"] == "message":
                    self._listeners[message["channel"].decode()](message["data"].decode())
