"""How many requests a client may send, or may fail with: a quota for each, kept by all API processes together.

Each decides by what it knows at once and without asking; four times a second it tells Redis what it let through, and
hears what all have. So a client over several APIs passes its quota by what it can send in a quarter of a second.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files

from app.domain.clock import Clock
from app.domain.errors import SystemFault
from app.gateway.redis.reach import Reach, RedisAway
from app.gateway.redis.scripts import Call, run_all, script

WINDOW_S = 60
_EVERY_S = 0.25
_MOST = 500
# After Redis was away, what was used longer ago has come back.
_AGO_MS = WINDOW_S * 1000.0
_TAKE = script((files("app.ops") / "quota.lua").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Standing:
    """A client's quota after a request: `per_minute` in all, `left` of it, seconds until it is `whole` again.

    `retry_s` is how long to wait where the request is refused, None where it is not.
    """

    per_minute: int
    left: int
    whole_s: float
    retry_s: float | None = None


class _Used:
    """What is known of one client: the moment at which its quota is whole again; requests not told, and since when."""

    __slots__ = ("since", "untold", "whole_at")

    def __init__(self) -> None:
        self.whole_at = 0.0
        self.untold = 0
        self.since = 0.0


class Quotas:
    """A generic cell rate algorithm (ITU-T I.371): a client may use a whole minute's worth at once, then as it comes
    back. Of clients whose quota is whole nothing is kept.
    """

    def __init__(self, reach: Reach, clock: Clock, per_minute: int, prefix: str) -> None:
        self._reach = reach
        self._clock = clock
        self._prefix = prefix
        self._per_minute = per_minute
        self._each_s = WINDOW_S / per_minute
        self._used: dict[str, _Used] = {}

    def take(self, client: str) -> Standing:
        """One request of this client: counted where it is let through."""
        now, used = self._clock.monotonic(), self._used.get(client)
        if used is None:
            used = self._used[client] = _Used()
        whole_s = max(0.0, used.whole_at - now) + self._each_s
        if whole_s > WINDOW_S:
            return Standing(self._per_minute, 0, whole_s - self._each_s, whole_s - WINDOW_S)
        if not used.untold:
            used.since = now
        used.whole_at, used.untold = now + whole_s, used.untold + 1
        return Standing(self._per_minute, int((WINDOW_S - whole_s) / self._each_s + 1e-6), whole_s)

    def retry_s(self, client: str) -> float | None:
        """How long a request of this client would have to wait; None: not at all."""
        used = self._used.get(client)
        over_s = used.whole_at - self._clock.monotonic() + self._each_s - WINDOW_S if used else 0.0
        return over_s if over_s > 0 else None

    def give_back(self, client: str) -> None:
        """The request cost nothing."""
        if used := self._used.get(client):
            used.whole_at, used.untold = used.whole_at - self._each_s, used.untold - 1

    async def run(self) -> None:
        """Tell and hear until canceled; while Redis is away each process goes by what it knows."""
        while True:
            await self._clock.sleep(_EVERY_S)
            with suppress(RedisAway, SystemFault):
                await self.tell()
            self._forget()

    async def tell(self) -> None:
        """Tell what was let through since the last time, and hear what all have. Raises RedisAway, SystemFault."""
        news = [(client, used) for client, used in self._used.items() if used.untold][:_MOST]
        if not news:
            return
        now, told = self._clock.monotonic(), [(used.untold, used.since) for _, used in news]
        calls = [self._taking(client, used, now) for client, used in news]
        for _, used in news:
            used.untold, used.since = 0, now
        try:
            answers = await self._reach.ask(lambda redis: run_all(redis, calls))
        except (RedisAway, SystemFault):
            for (_, used), (count, since) in zip(news, told, strict=True):
                used.untold, used.since = used.untold + count, since
            raise
        now = self._clock.monotonic()
        for (_, used), left_ms in zip(news, answers, strict=True):
            used.whole_at = now + float(left_ms) / 1000 + used.untold * self._each_s

    async def close(self) -> None:
        """Stop looking for Redis."""
        await self._reach.close()

    def _taking(self, client: str, used: _Used, now: float) -> Call:
        took_ms, ago_ms = used.untold * self._each_s * 1000, (now - used.since) * 1000
        return Call(_TAKE, [f"{self._prefix}{client}"], [f"{took_ms:.3f}", f"{min(ago_ms, _AGO_MS):.3f}"])

    def _forget(self) -> None:
        now = self._clock.monotonic()
        for client in [one for one, used in self._used.items() if used.whole_at <= now and not used.untold]:
            del self._used[client]
