"""Cached answers in Redis: looked up, kept and dropped by scripts; without Redis there are none, and nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from app.domain.clock import Clock
from app.domain.errors import LanewayError
from app.settings import CacheSettings
from app.telemetry.logs import log

PREFIX = "laneway:{cache}:"
# Bounds each round trip; after one that failed nobody asks for a moment.
ROUND_TRIP_S = 0.5
_REST_S = 1.0
# Who makes an entry says so again before this has passed; if he died, another makes it.
LEAD_S = 3.0
# How long beyond an entry's own time its tags are kept: the longest that making it may take.
_MAKING_S = 3600.0
_MOST_TOGETHER = 200
Given = TypeVar("Given")
_FAILURES = (RedisError, OSError, TimeoutError)


class CacheAway(LanewayError):
    """Redis can't be asked now."""


@dataclass(frozen=True, slots=True)
class Found:
    """An entry as it stands: its sealed body, its age, and how long it is fresh yet (0 or less: it is stale)."""

    body: bytes
    age_s: float
    left_s: float


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
    """An entry that is to be made where it is not there: by this token, with these tags, fresh for that long."""

    name: str
    token: str
    tags: tuple[str, ...]
    fresh_s: float


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry that was made; `tags` come with the stamps of its claim."""

    name: str
    body: bytes
    fresh_s: float
    tags: tuple[str, ...]
    stamps: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Script:
    text: str
    sha: str


def _script(name: str) -> _Script:
    text = files("app.gateway").joinpath(name).read_text(encoding="utf-8")
    return _Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


_CLAIM, _PUT, _LEAD = _script("cache_claim.lua"), _script("cache_put.lua"), _script("cache_lead.lua")
_Step = tuple[_Script, tuple[str, ...], list[Any]]


class Shelf:
    """The shared side of the caches. All keys share a hash tag, so that a cluster keeps them together."""

    def __init__(self, redis: Redis, settings: CacheSettings, clock: Clock, prefix: str = PREFIX) -> None:
        self._redis = redis
        self._settings = settings
        self._clock = clock
        self._prefix = prefix
        self._rests_until = 0.0
        self._stale_ms = round(settings.stale_s * 1000)

    async def look(self, names: Sequence[str], *, stale: bool = False) -> list[Answer]:
        """What there is under these names. Raises CacheAway."""
        return [_answer(raw) for raw in await self._run([self._claim(name, stale=stale) for name in names])]

    async def claim(self, claim: Claim) -> Answer:
        """What there is, or who is to make it. Raises CacheAway."""
        (raw,) = await self._run([self._claim(claim.name, claim)])
        return _answer(raw)

    async def put(self, entries: Sequence[Kept]) -> bool:
        """Keep them; False where one is void, since a tag was dropped after its claim. Raises CacheAway."""
        keys = tuple(self._prefix + part for part in ("heads", "bodies", "used", "ends", "bytes"))
        steps: list[_Step] = []
        for one in entries:
            pairs = [part for pair in zip(one.tags, one.stamps, strict=True) for part in pair]
            bounds = [round(one.fresh_s * 1000), self._stale_ms, self._settings.max_bytes, f"{self._prefix}tag:"]
            steps.append((_PUT, keys, [one.name, one.body, *bounds, *pairs]))
        return 0 not in await self._run(steps)

    async def prolong(self, leads: Sequence[tuple[str, str]]) -> None:
        """Names and tokens of entries that are still being made. Raises CacheAway."""
        await self._run([self._lead(name, token, LEAD_S) for name, token in leads])

    async def end(self, name: str, token: str) -> None:
        """The entry is no longer being made. Raises CacheAway."""
        await self._run([self._lead(name, token, 0)])

    async def drop(self, tags: Sequence[str]) -> None:
        """Every entry with one of these tags is void, also one that is being made. Raises CacheAway."""
        await self._asked(self._redis.unlink(*(f"{self._prefix}tag:{tag}" for tag in tags)))

    def _claim(self, name: str, claim: Claim | None = None, *, stale: bool = False) -> _Step:
        keys = (*(self._prefix + part for part in ("heads", "bodies", "used")), f"{self._prefix}lead:{name}")
        token, lease_ms, keep_s = (claim.token, round(LEAD_S * 1000), claim.fresh_s) if claim else ("", 0, 0.0)
        keep_ms = round((keep_s + _MAKING_S) * 1000) + self._stale_ms
        tags = claim.tags if claim else ()
        return (_CLAIM, keys, [name, token, lease_ms, int(stale), f"{self._prefix}tag:", keep_ms, *tags])

    def _lead(self, name: str, token: str, lease_s: float) -> _Step:
        return (_LEAD, (f"{self._prefix}lead:{name}",), [token, round(lease_s * 1000)])

    async def _run(self, steps: Sequence[_Step]) -> list[Any]:
        """What each step answers; many go in portions, so that no round trip is long."""
        if not self._settings.enabled or self._clock.monotonic() < self._rests_until:
            raise CacheAway("the cache rests")
        found: list[Any] = []
        for place in range(0, len(steps), _MOST_TOGETHER):
            found += await self._asked(self._send(steps[place : place + _MOST_TOGETHER]))
        return found

    async def _send(self, steps: Sequence[_Step]) -> list[Any]:
        answers = await self._pipe(steps)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            # Each script may run twice for the same token or body.
            for script in {script for script, _, _ in steps}:
                await self._redis.script_load(script.text)
            answers = await self._pipe(steps)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def _pipe(self, steps: Sequence[_Step]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for script, keys, arguments in steps:
                pipe.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
            return list(await pipe.execute(raise_on_error=False))

    async def _asked(self, act: Awaitable[Given]) -> Given:
        """An act upon Redis, bounded. After one that failed nobody looks or keeps for a moment."""
        try:
            async with asyncio.timeout(ROUND_TRIP_S):
                return await act
        except _FAILURES as error:
            self._rests_until = self._clock.monotonic() + _REST_S
            log("cache").warning("cache away", error=type(error).__name__)
            raise CacheAway(type(error).__name__) from error


def _answer(raw: list[Any]) -> Answer:
    match bytes(raw[0]):
        case b"found":
            return Found(raw[1], raw[2] / 1000, raw[3] / 1000)
        case b"yours":
            return Yours(tuple(raw[1:]))
        case b"busy":
            return Busy()
        case _:
            return Missing()
