"""The exact cache: an answer that was paid for once is given again, and of equal askers at once one asks."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from uuid import UUID

from redis.asyncio import Redis

from app.domain import ids
from app.domain.clock import Clock
from app.domain.errors import InputError, MustWait, RateLimited, TransientError
from app.domain.job import Reason
from app.gateway.caches.seal import Seal
from app.gateway.caches.shelf import LEAD_S, PREFIX, Busy, Claim, Found, Kept, Shelf, Yours
from app.gateway.calls.keeping import Keeping
from app.gateway.redis.reach import RedisAway
from app.settings import CacheSettings

# Between two looks for what another process makes.
_LOOK_S = (0.02, 0.2)


@dataclass(frozen=True, slots=True)
class Key:
    """Whose it is, and the SHA-256 of what it answers."""

    project_id: UUID
    digest: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A known answer. `left_s`: how long it is fresh yet. `just_made`: by one of this process who asked earlier."""

    body: bytes
    age_s: float = 0.0
    left_s: float = 0.0
    just_made: bool = False


class _Flight:
    """An answer on its way in this process, and those who wait for it."""

    def __init__(self) -> None:
        self.given_up = False
        self._ended: asyncio.Future[Entry | Exception | None] = asyncio.get_running_loop().create_future()

    def tell(self, what: Entry | Exception | None) -> None:
        """Here it is; None: it is not coming. The first word counts."""
        if not self._ended.done():
            self._ended.set_result(what)

    async def wait(self, seconds: float) -> Entry | None:
        """The answer; None where none comes, or not in time. Raises what the asker met, if all would meet it."""
        done, _ = await asyncio.wait({self._ended}, timeout=max(0.0, seconds))
        found = self._ended.result() if done else None
        if isinstance(found, Exception):
            raise _for_all(found) or found
        return found


class Place:
    """What came of the question: `entry` is known, or this one is to make it, and then keeps or shares it."""

    def __init__(self, cache: ExactCache, key: Key, keeping: Keeping, flight: _Flight | None) -> None:
        self.entry: Entry | None = None
        self._cache = cache
        self._key = key
        self._keeping = keeping
        self._flight = flight
        self._stamps: tuple[bytes, ...] | None = None

    def found(self, entry: Entry) -> None:
        """It was known."""
        self.entry = entry
        if self._flight is not None:
            self._flight.tell(entry)

    def claimed(self, stamps: tuple[bytes, ...]) -> None:
        """It is not known, and nobody else makes it."""
        self._stamps = stamps

    def share(self, body: bytes) -> None:
        """Give it to those who wait for it in this process, and keep nothing."""
        if self._flight is not None:
            self._flight.tell(Entry(body, just_made=True))

    def give_up(self) -> None:
        """Nothing comes of it, and nobody in this process need wait for another to try."""
        if self._flight is not None:
            self._flight.given_up = True
            self._flight.tell(None)

    async def keep(self, body: bytes) -> None:
        """Give it to all who wait for it, now and later; to nobody if a tag of it was dropped since it was begun."""
        if await self.keep_all([(self._key, body)]):
            self.share(body)

    async def keep_all(self, entries: Sequence[tuple[Key, bytes]]) -> bool:
        """Keep these, under the same tags; those who wait here learn nothing of it. False where a tag was dropped."""
        return self._stamps is None or await self._cache.put(entries, self._keeping, self._stamps)


class ExactCache:
    """Answers by digest, for all processes. Redis away: nothing is known, nothing is kept, the work goes on."""

    def __init__(self, redis: Redis, settings: CacheSettings, secret: str, clock: Clock, prefix: str = PREFIX) -> None:
        self._shelf = Shelf(redis, settings, clock, prefix)
        self._seal = Seal(secret)
        self._settings = settings
        self._clock = clock
        self._flights: dict[bytes, _Flight] = {}
        self._leads: dict[str, str] = {}
        self._prolonging: asyncio.Task[None] | None = None

    async def look(self, keys: Sequence[Key], *, stale: bool = False) -> list[Entry | None]:
        """What is known of each, now; with `stale`, also what is past its time. Never fails."""
        if not keys:
            return []
        try:
            answers = await self._shelf.look([self._seal.name(key.digest) for key in keys], stale=stale)
        except RedisAway:
            return [None] * len(keys)
        return [self._entry(key, answer) for key, answer in zip(keys, answers, strict=True)]

    @asynccontextmanager
    async def enter(
        self, key: Key, keeping: Keeping, wait_s: float, fits: Callable[[Entry], bool] = lambda _: True
    ) -> AsyncIterator[Place]:
        """A place with the entry; or, for one of all who ask, one without, who makes it inside.

        A known entry that does not fit, or that nobody can read, is made anew like one that is not known.

        The others wait: in this process for his word, elsewhere for the entry. Where he fails by what would befall all
        of them, those in this process fail with him; where he leaves or dies, another takes his place. Who has waited
        for `wait_s` makes it for himself.
        """
        until = self._clock.monotonic() + wait_s
        while (flight := self._flights.get(key.digest)) is not None:
            entry = await flight.wait(until - self._clock.monotonic())
            if entry is not None or flight.given_up or self._clock.monotonic() >= until:
                place = Place(self, key, keeping, None)
                # What was just made for all who ask is given to all.
                place.entry = entry if entry is not None and (entry.just_made or fits(entry)) else None
                yield place
                return
        flight = self._flights[key.digest] = _Flight()
        place, name, token = Place(self, key, keeping, flight), self._seal.name(key.digest), ids.secret_base62(16)
        try:
            claim = Claim(name, token, self._tags(key, keeping), self._ttl_s(keeping))
            await self._place(place, key, claim, until, fits)
            yield place
        except Exception as error:
            flight.tell(_for_all(error))
            raise
        finally:
            del self._flights[key.digest]
            flight.tell(None)
            if self._leads.pop(name, None):
                with suppress(RedisAway):
                    await self._shelf.end(name, token)

    async def over(self, key: Key, keeping: Keeping) -> Place:
        """A place to make it anew, whatever is known and whoever else makes it."""
        place = Place(self, key, keeping, None)
        # Nobody asks by this name: the claim does no more than read the tags' stamps.
        unknown = Claim(ids.secret_base62(16), "over", self._tags(key, keeping), self._ttl_s(keeping))
        with suppress(RedisAway):
            answer = await self._shelf.claim(unknown)
            if isinstance(answer, Yours):
                place.claimed(answer.stamps)
        return place

    async def put(self, entries: Sequence[tuple[Key, bytes]], keeping: Keeping, stamps: tuple[bytes, ...]) -> bool:
        """Keep them under the stamps of a claim, but what is too large. False where a tag was dropped since."""
        kept = [
            Kept(self._seal.name(key.digest), self._seal.close(key.digest, body), self._ttl_s(keeping), tags, stamps)
            for key, body in entries
            if len(body) <= self._settings.max_entry_bytes
            for tags in [self._tags(key, keeping)]
        ]
        try:
            return await self._shelf.put(kept)
        except RedisAway:
            return True

    async def invalidate(self, project_id: UUID, tags: Sequence[str]) -> None:
        """Drop all that was kept under these tags of the project, however much, in one step. Raises RedisAway."""
        await self._shelf.drop([self._seal.tag(project_id, tag) for tag in tags])

    async def close(self) -> None:
        """Say no more that something is being made here."""
        if self._prolonging is not None:
            self._prolonging.cancel()
            await asyncio.gather(self._prolonging, return_exceptions=True)
        await self._shelf.close()

    async def _place(self, place: Place, key: Key, claim: Claim, until: float, fits: Callable[[Entry], bool]) -> None:
        """Find the entry, wait for it while another process makes it, or claim it."""
        pause_s, longest_s = _LOOK_S
        while True:
            try:
                answer = await self._shelf.claim(claim)
            except RedisAway:
                return
            if isinstance(answer, Found):
                if (entry := self._entry(key, answer)) is not None and fits(entry):
                    place.found(entry)
                    return
                claim = replace(claim, useless_ms=answer.made_ms)
                continue
            if isinstance(answer, Yours):
                place.claimed(answer.stamps)
                self._lead(claim.name, claim.token)
            if not isinstance(answer, Busy) or self._clock.monotonic() >= until:
                return
            await self._clock.sleep(ids.jitter(pause_s / 2, pause_s))
            pause_s = min(longest_s, pause_s * 1.5)

    def _entry(self, key: Key, answer: object) -> Entry | None:
        if not isinstance(answer, Found):
            return None
        body = self._seal.open(key.digest, answer.body)
        return None if body is None else Entry(body, answer.age_s, answer.left_s)

    def _tags(self, key: Key, keeping: Keeping) -> tuple[str, ...]:
        return tuple(self._seal.tag(key.project_id, tag) for tag in keeping.tags)

    def _ttl_s(self, keeping: Keeping) -> float:
        return self._settings.embedding_ttl_s if keeping.ttl_s is None else keeping.ttl_s

    def _lead(self, name: str, token: str) -> None:
        self._leads[name] = token
        if self._prolonging is None or self._prolonging.done():
            self._prolonging = asyncio.get_running_loop().create_task(self._prolong())

    async def _prolong(self) -> None:
        while self._leads:
            await self._clock.sleep(LEAD_S / 3)
            with suppress(RedisAway):
                await self._shelf.prolong(list(self._leads.items()))


def _for_all(error: Exception) -> Exception | None:
    """What all who ask the same would meet, as an exception of their own; None for what is the asker's alone."""
    if isinstance(error, MustWait):
        return MustWait(error.reason, error.until, error.pool) if error.reason != Reason.BUDGET else None
    if isinstance(error, TransientError | InputError) and not isinstance(error, RateLimited):
        try:
            return copy.copy(error)
        except Exception:  # an author's own kind, made from other words
            return None
    return None
