"""The shared side of the limiter: leases in Redis by three scripts, with a switch for when Redis is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import NoScriptError, RedisError

from app.domain import ids
from app.domain.clock import Clock
from app.gateway.pool import Lease, Pool
from app.telemetry.logs import log

# Bounds each round trip whatever the Redis client's own timeouts and retries are.
ROUND_TRIP_S = 2.0
# A process that waits for a slot asks again every 10 to 50 ms; one that is silent for this long waits no more.
WAITING_FRESH_MS = 500
_PROBE_S = (0.1, 2.0)
_FAILURES = (RedisError, OSError, TimeoutError)
_log = log("gateway")


@dataclass(frozen=True, slots=True)
class Ask:
    """What this process tells and asks about one pool in one round trip."""

    pool: Pool
    adopt: Sequence[Lease]
    free: Sequence[str]
    pause_ms: int
    want: Sequence[Lease]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first `granted` of the leases wanted are held now; `paused_s` > 0: the pool rests for that long."""

    granted: int
    paused_s: float = 0.0


class Desk:
    """Asks Redis; after the first failure it is `away` until a probe has written to Redis again."""

    def __init__(self, redis: Redis, clock: Clock, prefix: str) -> None:
        self._redis = redis
        self._clock = clock
        self._prefix = prefix
        self._probe: asyncio.Task[None] | None = None
        self.process = ids.secret_base62(10)
        self.away = False
        # Rises at each return, so that a line sees that its leases are to be entered again.
        self.returns = 0
        self.on_return: Callable[[], None] = lambda: None

    async def exchange(self, ask: Ask) -> Verdict | None:
        """The verdict of Redis; None when Redis failed, and then nobody knows whether it took the ask."""
        try:
            async with asyncio.timeout(ROUND_TRIP_S):
                return await self._send(ask)
        except _FAILURES as error:
            self._leave(error)
            return None

    async def close(self) -> None:
        """Stop probing."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)

    async def _send(self, ask: Ask) -> Verdict:
        steps = _steps(ask, self.process, f"{self._prefix}{{{ask.pool.name}}}:")
        answers = await self._run(steps)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            # Each script may run twice on the same lease ids.
            for script in (_ADMIT, _SETTLE, _ADOPT):
                await self._redis.script_load(script.text)
            answers = await self._run(steps)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        if not ask.want:
            return Verdict(0)
        granted, paused_ms = answers[-1]
        return Verdict(granted, paused_ms / 1000)

    async def _run(self, steps: list[_Step]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for script, keys, arguments in steps:
                _evalsha(pipe, script.sha, keys, arguments)
            return list(await pipe.execute(raise_on_error=False))

    def _leave(self, error: BaseException) -> None:
        if self.away:
            return
        self.away = True
        _log.warning("limiter_local", what="redis", error=type(error).__name__)
        self._probe = asyncio.create_task(self._come_back())

    async def _come_back(self) -> None:
        """Probe with a write, so that a Redis that is read-only or out of memory still counts as away."""
        wait_s, longest_s = _PROBE_S
        while self.away:
            await self._clock.sleep(ids.jitter(wait_s / 2, wait_s))
            wait_s = min(longest_s, wait_s * 2)
            try:
                async with asyncio.timeout(ROUND_TRIP_S):
                    await self._redis.set(f"{self._prefix}probe", "1", px=1000)
            except _FAILURES:
                continue
            self.away = False
        self.returns += 1
        _log.info("limiter_shared", what="redis")
        self.on_return()


@dataclass(frozen=True, slots=True)
class _Script:
    text: str
    sha: str


def _script(name: str) -> _Script:
    text = files("app.gateway").joinpath(name).read_text(encoding="utf-8")
    return _Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


_ADMIT, _SETTLE, _ADOPT = _script("admit.lua"), _script("settle.lua"), _script("adopt.lua")
_Step = tuple[_Script, tuple[str, ...], list[str | int]]


def _steps(ask: Ask, process: str, root: str) -> list[_Step]:
    """The scripts to run, in order; all keys of a pool share a hash tag."""
    leases, held, waiting, pause = (root + part for part in ("leases", "held", "waiting", "pause"))
    steps: list[_Step] = []
    if ask.adopt:
        steps.append((_ADOPT, (leases, held), [process, *_pairs(ask.adopt)]))
    if ask.free or ask.pause_ms:
        steps.append((_SETTLE, (leases, held, pause), [ask.pause_ms, *ask.free]))
    if ask.want:
        arguments = [ask.pool.max_in_flight, process, WAITING_FRESH_MS, *_pairs(ask.want)]
        steps.append((_ADMIT, (leases, held, waiting, pause), arguments))
    return steps


def _pairs(leases: Sequence[Lease]) -> list[str | int]:
    return [part for lease in leases for part in (lease.id, lease.expires_ms)]


def _evalsha(pipe: Pipeline, sha: str, keys: tuple[str, ...], arguments: list[str | int]) -> None:
    pipe.execute_command("EVALSHA", sha, len(keys), *keys, *arguments)
