"""Cached answers in Redis: looked up, kept and dropped by scripts; without Redis there are none, and nobody waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.asyncio import Redis

from app.domain.clock import Clock
from app.domain.errors import SystemFault
from app.gateway.redis.reach import Reach, RedisAway
from app.gateway.redis.scripts import Argument, Call, run_all, script, source
from app.settings import CacheSettings

PREFIX = "laneway:{cache}:"
# An answer that takes longer is not worth to wait for.
_ROUND_TRIP_S = 1.0
# Who makes an entry says so again before this has passed; if he died, another makes it.
LEAD_S = 3.0
# How long beyond an entry's own time its tags are kept: the longest that making it may take.
_MAKING_S = 3600.0
_MOST_TOGETHER = 200
Given = TypeVar("Given")


@dataclass(frozen=True, slots=True)
class Found:
    """An entry as it stands: its sealed body, its age, and how long it is fresh yet (0 or less: it is stale).

    `made_ms`: when it was made, by Redis's clock; another in its place has another.
    """

    body: bytes
    age_s: float
    left_s: float
    made_ms: int


@dataclass(frozen=True, slots=True)
class Yours:
    """There is none, and the asker is to make it; the stamps of its tags as they are now."""

    stamps: tuple[bytes, ...]


class Busy:
    """There is none, and somebody makes it."""


class Missing:
    """There is none."""


Answer = Found | Yours | Busy | Missing


@dataclass(frozen=True, slots=True)
class Claim:
    """An entry that is to be made where it is not there: by this token, with these tags, fresh for that long.

    One that was made at `useless_ms` counts as not there.
    """

    name: str
    token: str
    tags: tuple[str, ...]
    fresh_s: float
    useless_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry that was made; `tags` come with the stamps of its claim."""

    name: str
    body: bytes
    fresh_s: float
    tags: tuple[str, ...]
    stamps: tuple[bytes, ...]


_CLAIM, _PUT, _LEAD = (script(source(name)) for name in ("caches/claim.lua", "caches/put.lua", "caches/lead.lua"))


class Shelf:
    """The shared side of the caches. All keys share a hash tag, so that a cluster keeps them together."""

    def __init__(self, redis: Redis, settings: CacheSettings, clock: Clock, prefix: str = PREFIX) -> None:
        self._reach = Reach(redis, clock, "cache", prefix, _ROUND_TRIP_S)
        self._settings = settings
        self._prefix = prefix
        self._stale_ms = round(settings.stale_s * 1000)

    async def look(self, names: Sequence[str], *, stale: bool = False) -> list[Answer]:
        """What there is under these names. Raises RedisAway."""
        return [_answer(raw) for raw in await self._run([self._claim(name, stale=stale) for name in names])]

    async def claim(self, claim: Claim) -> Answer:
        """What there is, or who is to make it. Raises RedisAway."""
        (raw,) = await self._run([self._claim(claim.name, claim)])
        return _answer(raw)

    async def put(self, entries: Sequence[Kept]) -> bool:
        """Keep them; False where one is void, since a tag was dropped after its claim. Raises RedisAway."""
        keys = tuple(self._prefix + part for part in ("heads", "bodies", "used", "ends", "bytes"))
        calls: list[Call] = []
        for one in entries:
            pairs: list[Argument] = [part for pair in zip(one.tags, one.stamps, strict=True) for part in pair]
            bounds: list[Argument] = [
                round(one.fresh_s * 1000),
                self._stale_ms,
                self._settings.max_bytes,
                f"{self._prefix}tag:",
            ]
            calls.append(Call(_PUT, keys, [one.name, one.body, *bounds, *pairs]))
        return 0 not in await self._run(calls)

    async def prolong(self, leads: Sequence[tuple[str, str]]) -> None:
        """Names and tokens of entries that are still being made. Raises RedisAway."""
        await self._run([self._lead(name, token, LEAD_S) for name, token in leads])

    async def end(self, name: str, token: str) -> None:
        """The entry is no longer being made. Raises RedisAway."""
        await self._run([self._lead(name, token, 0)])

    async def drop(self, tags: Sequence[str]) -> None:
        """Every entry with one of these tags is void, also one that is being made. Raises RedisAway."""
        await self._ask(lambda redis: redis.unlink(*(f"{self._prefix}tag:{tag}" for tag in tags)))

    async def close(self) -> None:
        """Look no more whether Redis is back."""
        await self._reach.close()

    def _claim(self, name: str, claim: Claim | None = None, *, stale: bool = False) -> Call:
        keys = (*(self._prefix + part for part in ("heads", "bodies", "used")), f"{self._prefix}lead:{name}")
        token, lease_ms, keep_s = (claim.token, round(LEAD_S * 1000), claim.fresh_s) if claim else ("", 0, 0.0)
        keep_ms = round((keep_s + _MAKING_S) * 1000) + self._stale_ms
        useless = "" if claim is None or claim.useless_ms is None else claim.useless_ms
        tags = claim.tags if claim else ()
        return Call(_CLAIM, keys, [name, token, lease_ms, int(stale), f"{self._prefix}tag:", keep_ms, useless, *tags])

    def _lead(self, name: str, token: str, lease_s: float) -> Call:
        return Call(_LEAD, (f"{self._prefix}lead:{name}",), [token, round(lease_s * 1000)])

    async def _run(self, calls: Sequence[Call]) -> list[Any]:
        """What each answers; many go in portions, so that no round trip is long. One may run twice."""
        if not self._settings.enabled:
            raise RedisAway("the cache is off")
        found: list[Any] = []
        for place in range(0, len(calls), _MOST_TOGETHER):
            portion = calls[place : place + _MOST_TOGETHER]
            found += await self._ask(lambda redis, portion=portion: run_all(redis, portion))  # type: ignore[misc]
        return found

    async def _ask(self, act: Callable[[Redis], Awaitable[Given]]) -> Given:
        """A cache that stumbles costs no more than one that is away."""
        try:
            return await self._reach.ask(act)
        except SystemFault as fault:
            raise RedisAway(fault.detail) from fault


def _answer(raw: list[Any]) -> Answer:
    match bytes(raw[0]):
        case b"found":
            return Found(raw[1], raw[2] / 1000, raw[3] / 1000, raw[4])
        case b"yours":
            return Yours(tuple(raw[1:]))
        case b"busy":
            return Busy()
        case _:
            return Missing()
