"""The line of one pool in one process: what its callers want and what became of their calls, told in turns."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from contextvars import Context
from datetime import datetime, timedelta

import orjson

from app.domain import ids
from app.domain.clock import Clock
from app.domain.errors import MustWait, SystemFault
from app.domain.job import Reason
from app.domain.park import Room
from app.gateway.pools.agenda import Agenda
from app.gateway.pools.away import LocalPool
from app.gateway.pools.desk import Ask, Desk, Verdict
from app.gateway.pools.holding import Holding
from app.gateway.pools.pool import CallResult, Permit, Pool
from app.gateway.pools.room import A_FEW, room_for
from app.gateway.pools.waiter import Waiter, Waiters, Wanted

# How many come, leave or end in one round trip.
_WAVE = 128
# While callers wait or calls are in flight, Redis hears of this process at least so often.
_BEAT_S = 1.0
# After so long a silence Redis may believe this process dead.
_FORGOTTEN_S = 10.0
# What is not urgent waits so long for company.
_LINGER_S = 0.030
# Grants closer together than this are made in one turn.
_GAP_S = 0.005
# Who is not the one to come for the next grant comes so much later, in case that one does not.
_LATE_S = (0.25, 0.35)
# While Redis is away, the head of the line asks again after at most this long.
_AWAY_S = 0.050
# After a rest not all start in the same millisecond: they spread over this part of it.
_SPREAD = 0.05
# A parked job is woken when its turn comes. Should nobody do so, it comes after so long and so many times its wait.
_RECHECK_S, _RECHECK_TIMES = 60.0, 2.0
# Whoever comes so goes before all others, and for nothing while no ordinary call goes: then they come so many a second
# of each process, none later for it than so long.
_BACK_PER_S, _LONGEST_BACK_S = 5.0, 1800.0
_BREAKER = "breaker"
_PACED = "paced"
_AUTH = "auth"
_REASONS = {_BREAKER: Reason.PROVIDER_DOWN, _AUTH: Reason.PROVIDER_AUTH}
# `probe = true` and `trial = true` in a mark, as cmsgpack writes it: what of a mark concerns its holder.
_PROBE, _TRIAL = b"\xa5probe\xc3", b"\xa5trial\xc3"


class Line:
    """Hands out the leases of one pool. Its task runs only while there is something to ask, to tell or to hold."""

    def __init__(self, pool: Pool, desk: Desk, clock: Clock, unnamed_wait_s: float) -> None:
        self.pool = pool
        self._desk = desk
        self._clock = clock
        self._unnamed_wait_s = unnamed_wait_s
        self._waiters = Waiters()
        self._holding = Holding()
        self._agenda = Agenda(clock)
        self._local: LocalPool | None = None
        self._snapshot = b""
        # Why nothing more was granted by the last turn, and until when that holds (monotonic seconds).
        self._reason, self._until_s = "", 0.0
        # Since an ordinary call went.
        self._turned_away = 0
        self._asked_s = -math.inf
        self._beat_s = -math.inf
        # What `Ask.whole` is next.
        self._whole = 1
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    async def admit(self, wanted: Wanted, rest_s: float) -> Permit:
        """A permit, now or after a wait in line, at the earliest in `rest_s`.

        Raises MustWait when that takes longer than `max_wait_s`.
        """
        asked_s = self._clock.monotonic()
        if rest_s > wanted.max_wait_s:
            # What is longer than any limit by the minute takes ends when the pool lets calls go again.
            raise MustWait(Reason.RATE_LIMIT, self._in(rest_s), self.pool.name if rest_s > _RECHECK_S else None)
        if rest_s > 0:
            await self._clock.sleep(rest_s)
        self._refuse_while_blocked(wanted)
        waiter = Waiter(self._desk.lease_id(), wanted, asked_s)
        self._waiters.add(waiter)
        self._start()
        self._agenda.hasten(_LINGER_S if self._held_up() and not wanted.urgent else 0)
        try:
            await waiter.future
        except BaseException:
            self._leave(waiter)
            raise
        finally:
            waiter.stop_timer()
        return Permit(self.pool, waiter.lease, self._clock.monotonic() - asked_s, waiter.probe, waiter.trial)

    def settle(self, permit: Permit, result: CallResult | None) -> None:
        """Give the lease back, with what became of its call; None: nobody knows. Never waits, never fails."""
        self._end(permit.lease.id, result)
        if result is not None and self._local is not None:
            self._local.learn(result, permit.probe)

    @property
    def down(self) -> bool:
        """Whether its breaker is open, as far as was heard within the last second."""
        if self._local is not None:
            return self._local.opened
        return bool(self._snapshot) and orjson.loads(self._snapshot).get("breaker") == "open"

    def configure(self, pool: Pool) -> None:
        """The configuration says something else of the pool now."""
        self.pool = pool
        self._whole = max(1, self._whole)
        self._reason, self._until_s = "", 0.0

    def take(self, lease_id: str, mark: bytes, probe: bool = False, trial: bool = False) -> bool:
        """A grant for a caller of this process; False when nobody waits for it here."""
        waiter = self._waiters.take(lease_id)
        if waiter is None:
            return False
        waiter.probe, waiter.trial = probe or _PROBE in mark, trial or _TRIAL in mark
        if not waiter.probe and not waiter.trial:
            self._turned_away = 0
        self._holding.take(waiter.lease, mark, self._clock.monotonic())
        if waiter.future.done():
            self._end(lease_id, None)
        else:
            waiter.future.set_result(None)
        return True

    def wake(self, whole: bool = False) -> None:
        """Something changed: Redis is there again (`whole`: tell it all), or an operator moved a lever."""
        self._whole = 2 if whole else self._whole
        self._reason, self._until_s = "", 0.0
        self._start()
        self._agenda.hasten(0)

    def crowded(self) -> MustWait:
        """What is said to a job that gets no slot for this pool here."""
        return self._turn_back(Reason.RATE_LIMIT, 0.0)

    def room_away(self, within_s: float) -> Room:
        """Without Redis: a few, less those who wait; none where nobody goes for longer than that."""
        if self._until_s - self._clock.monotonic() > within_s:
            return room_for(0)
        return room_for(A_FEW - len(self._waiters))

    async def close(self, within_s: float) -> None:
        """Send away whoever waits, and give back what is still to be given back."""
        self._closed = True
        self._send_all_away("the limiter is closed")
        self._start()
        self._agenda.hasten(0)
        if self._task is not None:
            await asyncio.wait([self._task], timeout=within_s)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _send_all_away(self, why: str) -> None:
        self._waiters.send_away(lambda: SystemFault(why), lambda waiter: True)

    def _leave(self, waiter: Waiter) -> None:
        self._waiters.leave(waiter)
        if waiter.lease.id in self._holding:
            self._end(waiter.lease.id, None)
        elif self._waiters.to_tell:
            self._start()
            self._agenda.hasten(_LINGER_S)

    def _end(self, lease_id: str, result: CallResult | None) -> None:
        self._holding.end(lease_id, result, self._clock.monotonic())
        self._start()
        urgent = result is None or not result.good or self._reason == "full" or self._desk.away
        self._agenda.hasten(0 if urgent else _LINGER_S)

    def _held_up(self) -> bool:
        """Whether it is known that nobody else is granted anything just now."""
        return self._reason == "full" or self._until_s > self._clock.monotonic()

    def _refuse_while_blocked(self, wanted: Wanted) -> None:
        """What was heard within the last second need not be asked again."""
        now_s = self._clock.monotonic()
        left_s = self._until_s - now_s
        if wanted.urgent and self._reason == _PACED:
            return  # that wait may be a bulk call's: it leaves room for an urgent one
        if left_s > self._patience_s(wanted) and now_s - self._asked_s < _BEAT_S:
            raise self._must_wait(left_s)

    def _start(self) -> None:
        if self._task is None and self._busy():
            # It serves many jobs: no log line of it may carry the ids of the one that came first.
            self._task = asyncio.create_task(self._serve(), context=Context())

    def _busy(self) -> bool:
        if self._waiters:
            return True
        if self._desk.away:
            return False
        return self._holding.to_tell or self._waiters.to_tell or (len(self._holding) > 0 and not self._closed)

    async def _serve(self) -> None:
        try:
            # One tick, so that callers who arrive together are asked for together.
            await asyncio.sleep(0)
            while self._busy():
                await self._agenda.due()
                await self._turn()
        except SystemFault as fault:
            # The log has it. Whoever comes next tries again, and then all is told anew.
            self._whole = 2
            self._send_all_away(fault.detail)
        except BaseException as error:
            self._send_all_away(f"the limiter stopped: {type(error).__name__}")
            raise
        finally:
            self._task = None

    async def _turn(self) -> None:
        if self._desk.away:
            self._turn_away()
            return
        self._local = None
        ask = self._ask()
        verdict = await self._desk.exchange(ask, self._clock.monotonic())
        if verdict is None or verdict.unknown:
            # Nobody knows what it took in, or it has lost what it knew.
            self._whole = 2
            self._agenda.hasten(0)
            return
        self._holding.told(ask.ended)
        self._waiters.gone(ask.left)
        self._hand_out(verdict.grants)
        for lease_id, line_s in verdict.sent_away:
            self._waiters.send_one_away(lease_id, self._must_wait(line_s))
        if self._closed:
            # They were being asked for when the others were sent away.
            self._send_all_away("the limiter is closed")
        self._plan(verdict, ask.joined)

    def _ask(self) -> Ask:
        now_s = self._clock.monotonic()
        silent = now_s - self._asked_s > _FORGOTTEN_S
        whole, self._whole = max(self._whole, int(silent)), 0
        if whole:
            self._waiters.tell_again()
        beat = whole > 0 or now_s - self._beat_s >= _BEAT_S
        if beat:
            self._beat_s = now_s
        return Ask(
            self.pool,
            whole=whole,
            beat=beat,
            held=self._holding.all(now_s) if whole else (),
            ended=self._holding.ended(_WAVE),
            left=self._waiters.leaving(_WAVE),
            joined=self._waiters.joining(_WAVE),
        )

    def _hand_out(self, grants: Iterable[tuple[str, bytes]]) -> None:
        for lease_id, mark in grants:
            if not self.take(lease_id, mark) and lease_id not in self._holding:
                # Its caller is gone, or has heard of it before and is done with it.
                self._end(lease_id, None)

    def _plan(self, verdict: Verdict, told: Iterable[Waiter]) -> None:
        """When to come again, and who is not to wait for it."""
        now_s = self._clock.monotonic()
        wait_s = verdict.wait_s
        self._asked_s, self._reason, self._until_s = now_s, verdict.reason, now_s + (wait_s or 0.0)
        self._snapshot = verdict.snapshot or self._snapshot
        self._waiters.start_patience(told, self._give_up)
        self._agenda.hasten(_BEAT_S)
        if self._holding.to_tell or self._waiters.to_tell:
            self._agenda.hasten(_LINGER_S)
        if wait_s is None:
            return
        self._waiters.send_away(
            lambda: self._must_wait(wait_s), lambda waiter: waiter.told and wait_s > self._patience_s(waiter.wanted)
        )
        if verdict.keeper:
            self._agenda.hasten(max(wait_s, _GAP_S) if wait_s > 0 else 0)
        elif self._waiters:
            self._agenda.hasten(wait_s + ids.jitter(*_LATE_S))

    def _turn_away(self) -> None:
        """Without Redis: keep to our part of what was known."""
        if self._local is None:
            self._local = LocalPool(self.pool, self._snapshot, self._clock, self._unnamed_wait_s)
        wait_s: float | None = None
        waiting = self._waiters.in_order()
        for waiter in waiting:
            wait_s = self._local.ask(waiter.wanted, len(self._holding))
            if wait_s != 0:
                break
            self.take(waiter.lease.id, b"", self._local.opened, self._local.refused)
        # Nobody holds a slot for a provider that is down, or refuses our credential.
        self._reason = _BREAKER if self._local.opened else _AUTH if self._local.refused else ""
        self._until_s = self._clock.monotonic() + (wait_s or 0.0)
        if wait_s:
            self._waiters.send_away(
                lambda: self._must_wait(wait_s), lambda waiter: wait_s > self._patience_s(waiter.wanted)
            )
        self._waiters.start_patience(waiting, self._give_up)
        self._agenda.hasten(_AWAY_S if wait_s is None else min(wait_s, _AWAY_S))

    def _give_up(self, waiter: Waiter) -> None:
        waiter.send_away(self._must_wait(self._until_s - self._clock.monotonic()))

    def _patience_s(self, wanted: Wanted) -> float:
        """How long a caller waits here; nobody holds a slot for a provider that is down or refuses our credential."""
        return 0.0 if self._reason in (_BREAKER, _AUTH) else wanted.max_wait_s

    def _must_wait(self, wait_s: float) -> MustWait:
        return self._turn_back(_REASONS.get(self._reason, Reason.RATE_LIMIT), wait_s)

    def _turn_back(self, reason: Reason, wait_s: float) -> MustWait:
        self._turned_away += 1
        spread_s = min(_LONGEST_BACK_S, self._turned_away / _BACK_PER_S)
        return MustWait(reason, self._in(_RECHECK_S + _RECHECK_TIMES * max(0.0, wait_s) + spread_s), self.pool.name)

    def _in(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds * (1 + ids.jitter(0, _SPREAD)))
