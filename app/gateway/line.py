"""The line of one pool in one process: callers wait in order, and only the head of the line asks."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import Context
from datetime import timedelta

from app.domain import ids
from app.domain.clock import Clock
from app.domain.errors import MustWait, SystemFault
from app.gateway.desk import Ask, Desk, Verdict
from app.gateway.holding import Holding
from app.gateway.pool import Permit, Pool
from app.gateway.waiter import Waiter, Waiters

# How many are asked for, or given back, in one round trip.
_WAVE = 128
_RETURNED = 1000
# While the pool is full, the head asks again after about this long.
_POLL_S = (0.010, 0.050)
# After a pause not all processes start in the same millisecond.
_SPREAD_S = 0.050
# A job that gave up its place in a full line comes again after about this long.
_FULL_PARK_S = (2.0, 5.0)
# Without Redis each process takes a quarter of a pool's cap.
_ALONE_PART = 4
RATE_LIMIT = "rate_limit"


class Line:
    """Hands out the leases of one pool. A task runs only while there is something to ask or to tell."""

    def __init__(self, pool: Pool, desk: Desk, clock: Clock) -> None:
        self.pool = pool
        self._desk = desk
        self._clock = clock
        self._waiters = Waiters()
        self._holding = Holding()
        self._paused_until_s = 0.0
        self._pause_to_tell = False
        self._closed = False
        self._returns = desk.returns
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def admit(self, lane: str, lease_s: float, max_wait_s: float) -> Permit:
        """A permit, now or after a wait in line. Raises MustWait when that takes longer than `max_wait_s`."""
        if self._pause_left_s() > max_wait_s:
            raise self._must_wait()
        asked_s = self._clock.monotonic()
        waiter = self._waiters.add(lane, self._desk.process, lease_s, max_wait_s)
        self._start()
        try:
            await waiter.future
        except BaseException:
            self._give_back(waiter.lease.id)
            raise
        finally:
            waiter.stop_timer()
        return Permit(self.pool, waiter.lease, self._clock.monotonic() - asked_s)

    def settle(self, permit: Permit, pause_s: float | None) -> None:
        """Give the lease back; `pause_s` makes the pool rest, for every process. Never waits, never fails."""
        if pause_s is not None:
            self._paused_until_s = max(self._paused_until_s, self._clock.monotonic() + pause_s)
            self._pause_to_tell = True
        self._give_back(permit.lease.id)

    def wake(self) -> None:
        """Redis is there again: tell it what it missed."""
        self._pause_to_tell = self._pause_left_s() > 0
        self._start()
        self._news.set()

    async def close(self, within_s: float) -> None:
        """Send away whoever waits, and give back what is still to be given back."""
        self._closed = True
        self._send_all_away()
        self._news.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=within_s)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _send_all_away(self) -> None:
        self._waiters.send_away(SystemFault("the limiter is closed"), lambda waiter: True)

    def _give_back(self, lease_id: str) -> None:
        self._holding.give_back(lease_id)
        self._start()
        if self._holding.to_give_back or self._pause_to_tell or self._desk.away:
            self._news.set()

    def _start(self) -> None:
        if self._task is None and self._busy():
            # It serves many jobs: no log line of it may carry the ids of the one that came first.
            self._task = asyncio.create_task(self._serve(), context=Context())

    def _busy(self) -> bool:
        return bool(self._waiters) or (self._to_tell() and not self._desk.away)

    def _to_tell(self) -> bool:
        return self._holding.to_give_back or self._pause_to_tell or (self._stale() and len(self._holding) > 0)

    def _stale(self) -> bool:
        """Whether Redis was away and has not heard of our leases since."""
        return self._returns != self._desk.returns

    async def _serve(self) -> None:
        try:
            # One tick, so that callers who arrive together are asked for together.
            await asyncio.sleep(0)
            while self._busy():
                self._news.clear()
                await self._rest(await self._turn())
        except BaseException as error:
            stopped = SystemFault(f"the limiter stopped: {type(error).__name__}")
            self._waiters.send_away(stopped, lambda waiter: True)
            raise
        finally:
            self._task = None

    async def _turn(self) -> float:
        """One round trip; the seconds until the next one is worth it."""
        heads = self._waiters.take(_WAVE)
        try:
            verdict = await self._verdict(heads)
        except BaseException:
            self._waiters.put_back(heads)
            raise
        self._hand_out(heads[: verdict.granted])
        self._waiters.put_back(heads[verdict.granted :])
        if self._closed:
            # They were being asked for when the others were sent away.
            self._send_all_away()
        self._paused_until_s = max(self._paused_until_s, self._clock.monotonic() + verdict.paused_s)
        if (paused_s := self._pause_left_s()) > 0:
            self._waiters.send_away(self._must_wait(), lambda waiter: paused_s > waiter.max_wait_s)
            return paused_s + ids.jitter(0, _SPREAD_S)
        if verdict.granted < len(heads):
            self._waiters.start_patience(self._give_up)
            return ids.jitter(*_POLL_S)
        return 0.0

    async def _verdict(self, heads: list[Waiter]) -> Verdict:
        if self._desk.away:
            return self._alone(heads)
        returns, ask = self._desk.returns, self._ask(heads)
        self._holding.mark_shared(ask.adopt)
        verdict = await self._desk.exchange(ask)
        if verdict is None:
            self._holding.mark_shared(ask.want)
            return self._alone(heads)
        self._returns = returns
        self._holding.told(ask.free)
        self._holding.mark_shared(ask.want[: verdict.granted])
        return verdict

    def _ask(self, heads: list[Waiter]) -> Ask:
        paused_s = self._pause_left_s()
        pause_ms = int(paused_s * 1000) if self._pause_to_tell else 0
        self._pause_to_tell = False
        return Ask(
            self.pool,
            adopt=self._holding.all(self._clock.monotonic()) if self._stale() else [],
            free=self._holding.freed(_RETURNED),
            pause_ms=pause_ms,
            want=[] if paused_s > 0 else [waiter.lease for waiter in heads],
        )

    def _alone(self, heads: list[Waiter]) -> Verdict:
        """Without Redis: keep to our part of the cap and to the pauses we know of."""
        if (paused_s := self._pause_left_s()) > 0:
            return Verdict(0, paused_s)
        cap = max(1, self.pool.max_in_flight // _ALONE_PART)
        return Verdict(max(0, min(len(heads), cap - len(self._holding))))

    def _hand_out(self, granted: list[Waiter]) -> None:
        now_s = self._clock.monotonic()
        for waiter in granted:
            self._holding.take(waiter.lease, now_s)
            if waiter.gone:
                self._holding.give_back(waiter.lease.id)
            else:
                waiter.future.set_result(None)

    def _give_up(self, waiter: Waiter) -> None:
        waiter.send_away(self._must_wait())

    def _must_wait(self) -> MustWait:
        wait_s = self._pause_left_s() or ids.jitter(*_FULL_PARK_S)
        return MustWait(RATE_LIMIT, self._clock.now() + timedelta(seconds=wait_s))

    def _pause_left_s(self) -> float:
        return max(0.0, self._paused_until_s - self._clock.monotonic())

    async def _rest(self, seconds: float) -> None:
        """Until that long has passed, or there is news."""
        if seconds > 0 and self._waiters:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()
