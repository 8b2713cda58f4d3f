"""The till: the counters of budgets in Redis, one script for all that is asked and told at the same moment."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.domain import ids
from app.domain.clock import Clock
from app.telemetry.logs import log

PREFIX = "laneway:{budget}:"
Step = dict[str, Any]
Heard = Callable[[list[str]], None]
# What bounds a round trip, whatever the client's own timeouts are.
_ROUND_TRIP_S = 2.0
# Steps of one script, so that no other client of Redis waits for long.
_MOST = 200
# What is told while Redis is away is kept for its return; beyond it, expiry puts things right.
_KEPT = 10_000
_PROBE_S = (0.1, 2.0)
_FAILURES = (RedisError, OSError, TimeoutError)
_log = log("gateway")


def source() -> str:
    """The script: the rules, and what keeps their counters in Redis."""
    rules, shell = (files("app.gateway").joinpath(name).read_text(encoding="utf-8") for name in _PARTS)
    return f"local budget = (function()\n{rules}\nend)()\n{shell}"


_PARTS = ("budget.lua", "till.lua")


class TillAway(Exception):
    """Redis cannot be asked; whether it took what was sent is not known."""


@dataclass(slots=True)
class _Sending:
    step: Step
    answer: asyncio.Future[list[str]] | None
    heard: Heard | None


class Till:
    """Sends steps of `till.lua`. After the first failure it is `away` until a probe has written to Redis again.

    Then every counter that was touched meanwhile is forgotten, so that the next call has the ledger read.
    """

    def __init__(self, redis: Redis, clock: Clock, prefix: str = PREFIX) -> None:
        self._script = redis.register_script(source())
        self._redis = redis
        self._clock = clock
        self._prefix = prefix
        self._pending: list[_Sending] = []
        self._kept: deque[Step] = deque(maxlen=_KEPT)
        self._doubtful: dict[str, Step] = {}
        self._pump: asyncio.Task[None] | None = None
        self._probe: asyncio.Task[None] | None = None
        self.away = False

    async def ask(self, step: Step) -> list[str]:
        """The script's answer to one step. Raises TillAway."""
        if self.away:
            raise TillAway
        answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._send(_Sending(step, answer, None))
        return await answer

    def tell(self, step: Step, heard: Heard | None = None) -> None:
        """Send a step for whose answer nobody waits; kept while Redis is away. Never fails."""
        if self.away:
            self._kept.append(step)
        else:
            self._send(_Sending(step, None, heard))

    def doubt(self, counters: list[Step]) -> None:
        """Something was spent past these counters: when Redis is back, they are to be read from the ledger."""
        self._doubtful.update((one["name"], one) for one in counters)

    async def close(self) -> None:
        """Send what is pending; bounded, and quiet when Redis is away."""
        if self._pump is not None:
            await asyncio.wait({self._pump}, timeout=2 * _ROUND_TRIP_S)
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)

    def _send(self, sending: _Sending) -> None:
        self._pending.append(sending)
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """While one script is on its way, the next one gathers."""
        try:
            while self._pending:
                batch, self._pending = self._pending[:_MOST], self._pending[_MOST:]
                await self._exchange(batch)
        finally:
            self._pump = None

    async def _exchange(self, batch: list[_Sending]) -> None:
        try:
            answers = await self._call([one.step for one in batch])
        except _FAILURES as error:
            self._leave(error)
            self._failed([*batch, *self._pending])
            self._pending = []
            return
        for one, answer in zip(batch, answers, strict=True):
            if one.answer is not None and not one.answer.done():
                one.answer.set_result(answer)
            elif one.answer is not None and one.step["act"] == "reserve":
                # Whoever asked has left meanwhile: nobody will make this call.
                self.tell({"act": "release", "id": one.step["id"]})
            elif one.heard is not None:
                one.heard(answer)

    async def _call(self, steps: list[Step]) -> list[list[str]]:
        async with asyncio.timeout(_ROUND_TRIP_S):
            found = await self._script(keys=[self._prefix], args=[orjson.dumps(steps)])
        return [[_text(word) for word in answer] for answer in found]

    def _failed(self, batch: list[_Sending]) -> None:
        """Nobody knows what of it Redis took."""
        for one in batch:
            self.doubt(one.step.get("counters", []))
            if one.answer is None:
                self._kept.append(one.step)
                continue
            if one.step["act"] == "reserve":
                self._kept.append({"act": "release", "id": one.step["id"]})
            if not one.answer.done():
                one.answer.set_exception(TillAway())

    def _leave(self, error: BaseException) -> None:
        if self.away:
            return
        self.away = True
        _log.warning("budgets_local", what="redis", error=type(error).__name__)
        self._probe = asyncio.get_running_loop().create_task(self._come_back())

    async def _come_back(self) -> None:
        """Probe with a write, so that a Redis that is read-only or out of memory still counts as away."""
        wait_s, longest_s = _PROBE_S
        while self.away:
            await self._clock.sleep(ids.jitter(wait_s / 2, wait_s))
            wait_s = min(longest_s, wait_s * 2)
            try:
                async with asyncio.timeout(_ROUND_TRIP_S):
                    await self._redis.set(f"{self._prefix}probe", "1", px=1000)
            except _FAILURES:
                continue
            self.away = False
        _log.info("budgets_shared", what="redis")
        self._catch_up()

    def _catch_up(self) -> None:
        counters, self._doubtful = list(self._doubtful.values()), {}
        kept, self._kept = self._kept, deque(maxlen=_KEPT)
        for first in range(0, len(counters), _MOST):
            self.tell({"act": "forget", "counters": counters[first : first + _MOST]})
        for step in kept:
            self.tell(step)


def _text(word: bytes | str) -> str:
    return word.decode() if isinstance(word, bytes) else word
