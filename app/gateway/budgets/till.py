"""The till: the counters of budgets in Redis, one script for all that is asked and told at the same moment."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context
from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis

from app.domain.clock import Clock
from app.domain.errors import SystemFault
from app.gateway.redis.reach import ROUND_TRIP_S, Reach, RedisAway
from app.gateway.redis.scripts import script, source
from app.telemetry.logs import log

PREFIX = "laneway:{budget}:"
Step = dict[str, Any]
Heard = Callable[[list[str]], None]
# Steps of one script, so that no other client of Redis waits for long.
_MOST = 200
# What is told while Redis is away is kept for its return; beyond it, expiry puts things right.
_KEPT = 10_000
# What is in no hurry goes with the next script, or after this long.
_LINGER_S = 0.02
# The rules, and what keeps their counters in Redis.
_log = log("gateway")
_SCRIPT = script(f"local budget = (function()\n{source('budgets/budget.lua')}\nend)()\n{source('budgets/till.lua')}")


@dataclass(slots=True)
class _Sending:
    step: Step
    answer: asyncio.Future[list[str]] | None
    heard: Heard | None


class Till:
    """Sends steps of `till.lua`.

    When Redis comes back, every counter that was touched meanwhile is forgotten, so that the next call has the ledger
    read.
    """

    def __init__(self, redis: Redis, clock: Clock, prefix: str = PREFIX) -> None:
        self._reach = Reach(redis, clock, "budgets", prefix)
        self._reach.on_return = self._catch_up
        self._prefix = prefix
        self._pending: list[_Sending] = []
        self._kept: deque[Step] = deque(maxlen=_KEPT)
        self._doubtful: dict[str, Step] = {}
        self._pump: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def away(self) -> bool:
        """Whether Redis is away."""
        return self._reach.away

    async def ask(self, step: Step) -> list[str]:
        """The script's answer to one step. Raises RedisAway, SystemFault."""
        if self.away:
            raise RedisAway("budgets")
        answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._send(_Sending(step, answer, None))
        return await answer

    def tell(self, step: Step, heard: Heard | None = None, *, soon: bool = True) -> None:
        """Send a step for whose answer nobody waits, with others unless it has to be `soon`; kept while Redis is away.

        Never fails.
        """
        if self.away:
            self._kept.append(step)
        else:
            self._send(_Sending(step, None, heard), soon)

    def doubt(self, counters: list[Step]) -> None:
        """Something was spent past these counters: when Redis is back, they are to be read from the ledger."""
        self._doubtful.update((one["name"], one) for one in counters)

    async def close(self) -> None:
        """Send what is pending; bounded, and quiet when Redis is away."""
        if self._timer is not None:
            self._start()
        if self._pump is not None:
            await asyncio.wait({self._pump}, timeout=2 * ROUND_TRIP_S)
        await self._reach.close()

    def _send(self, sending: _Sending, soon: bool = True) -> None:
        self._pending.append(sending)
        if soon:
            self._start()
        elif self._pump is None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LINGER_S, self._start)

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pump is None:
            # It sends for all callers: nothing of the one that came first may go with it.
            self._pump = asyncio.get_running_loop().create_task(self._run(), context=Context())

    async def _run(self) -> None:
        """While one script is on its way, the next one gathers."""
        try:
            while self._pending:
                batch, self._pending = self._pending[:_MOST], self._pending[_MOST:]
                await self._surely(batch)
        finally:
            self._pump = None

    async def _surely(self, batch: list[_Sending]) -> None:
        """However it goes, nobody waits on for an answer."""
        try:
            await self._exchange(batch)
        except BaseException as error:
            _log.error("till stopped", error=type(error).__name__)
            goes_on = isinstance(error, Exception)
            left = batch if goes_on else [*batch, *self._pending]
            self._refused(left, SystemFault(f"the counters of budgets failed: {type(error).__name__}"))
            if not goes_on:
                self._pending = []
                raise

    async def _exchange(self, batch: list[_Sending]) -> None:
        try:
            answers = await self._call([one.step for one in batch])
        except RedisAway:
            self._failed([*batch, *self._pending])
            self._pending = []
            return
        except SystemFault as fault:
            self._refused(batch, fault)
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
        told = [orjson.dumps(steps)]
        found = await self._reach.ask(lambda redis: _SCRIPT.run(redis, [self._prefix], told))
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
                one.answer.set_exception(RedisAway("budgets"))

    def _refused(self, batch: Iterable[_Sending], fault: SystemFault) -> None:
        """The script stumbled over a step of it, after others had their effect. What was told expires."""
        for one in batch:
            if one.answer is None or (one.answer.done() and not one.answer.cancelled()):
                continue
            if one.step["act"] == "reserve":
                self.tell({"act": "release", "id": one.step["id"]})
            if not one.answer.done():
                one.answer.set_exception(SystemFault(fault.detail))

    def _catch_up(self) -> None:
        counters, self._doubtful = list(self._doubtful.values()), {}
        kept, self._kept = self._kept, deque(maxlen=_KEPT)
        for first in range(0, len(counters), _MOST):
            self.tell({"act": "forget", "counters": counters[first : first + _MOST]})
        # The ledger has those already that are booked, and a counter that is seeded between two steps has them from it.
        booked = {step["id"] for step in kept if step["act"] == "book"}
        for step in kept:
            if step["act"] == "book" or step.get("id") not in booked:
                self.tell(step)


def _text(word: bytes | str) -> str:
    return word.decode() if isinstance(word, bytes) else word
