"""Follows a project's feed for a client that streams it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from uuid import UUID

from app.domain.clock import Clock
from app.jobs.told import Told
from app.jobs.view import feed_view
from app.store.database import StoreAway
from app.store.feed import Feed, FeedEvent, Place

_PORTION = 100
_EVERY_S = 1.0
# Then the client comes again, with a key that is still valid.
_LONGEST_S = 3600.0


class Tail:
    """Follows feeds; `base_url` begins the URLs that clients are told, `heartbeat_s` is the longest silence."""

    def __init__(self, feed: Feed, clock: Clock, base_url: str, heartbeat_s: float) -> None:
        self._feed = feed
        self._clock = clock
        self._base_url = base_url
        self._heartbeat_s = heartbeat_s
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Let everyone go: this process is about to stop."""
        self._closed.set()

    async def follow(self, project_id: UUID, place: Place) -> AsyncGenerator[Sequence[Told], None]:
        """Events after that place, as they come; nothing is a heartbeat."""
        began = spoke = self._clock.monotonic()
        while not self._closed.is_set() and spoke - began < _LONGEST_S:
            found = await self._read(project_id, place)
            if found or self._clock.monotonic() - spoke >= self._heartbeat_s:
                yield [self._told(one) for one in found]
                spoke = self._clock.monotonic()
            place = found[-1].place if found else place
            if len(found) < _PORTION:
                await self._pause(min(_EVERY_S, self._heartbeat_s))

    async def _read(self, project_id: UUID, place: Place) -> list[FeedEvent]:
        try:
            return await self._feed.after(project_id, place, _PORTION)
        except StoreAway:
            return []

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()

    def _told(self, one: FeedEvent) -> Told:
        event = feed_view(one, self._base_url)
        return Told("job" if one.job else "budget", event, event["id"])
