"""The rings of one process: grants that the turn of another process made for it, as they are made.

A message may get lost: what it says also lies in Redis, and comes with the next turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context

from redis.asyncio import Redis

from app.bell.redis import AWAY
from app.telemetry.loop import end, keep_running

_AGAIN_S = 0.2


class Mail:
    """Listens on one connection of its own."""

    def __init__(self, redis: Redis, channel: str, on_grant: Callable[[str, bytes], None]) -> None:
        self._redis = redis
        self._channel = channel
        self._on_grant = on_grant
        self._reader: asyncio.Task[None] | None = None

    def start(self) -> None:
        """From the first caller on."""
        if self._reader is None:
            self._reader = asyncio.create_task(keep_running("mail", self._read), context=Context())

    async def close(self) -> None:
        """Stop listening."""
        if self._reader is not None:
            await end(self._reader)

    async def _read(self) -> None:
        while True:
            try:
                await self._read_until_broken()
            except AWAY:
                await asyncio.sleep(_AGAIN_S)

    async def _read_until_broken(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(self._channel)
            while True:
                message = await pubsub.get_message(timeout=5)
                if message is None:
                    await pubsub.ping()
                elif message["type"] == "message":
                    lease_id, _, mark = message["data"].partition(b" ")
                    self._on_grant(lease_id.decode(), mark)
