"""How others do it: pools with back-off, AIMD, an SDK's adaptive mode, buckets that were told the limits.

Written from their public descriptions, one instance for each worker, as they run in real life.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from bench.limits.buckets import Bucket
from bench.limits.provider import INF, Answer
from bench.limits.scenario import Scenario
from bench.limits.tally import Tally
from bench.limits.traffic import Job


class Timer(Protocol):
    """Time, virtual or not, in seconds since the start."""

    @property
    def now(self) -> float: ...
    def at(self, when: float, act: Callable[..., None], *arguments: Any) -> None:
        """Do it then."""
        ...


class Site(Protocol):
    """Where peers live: the simulation, or an event loop before a provider over HTTP."""

    @property
    def scenario(self) -> Scenario: ...
    @property
    def clock(self) -> Timer: ...
    @property
    def chance(self) -> Random: ...
    @property
    def tally(self) -> Tally: ...
    def send(self, job: Job) -> None:
        """One attempt; `Peer.ended` hears of its end."""
        ...


class Peer:
    """One worker: real-time jobs first, then bulk, oldest first; a failed call goes again after a while."""

    keeps_slot = False  # while it backs off

    def __init__(self, world: Site) -> None:
        self.world = world
        self.flying = 0
        self._lines: tuple[deque[Job], deque[Job]] = (deque(), deque())
        self._wakes_at = INF

    @property
    def now(self) -> float:
        return self.world.clock.now

    def wait_s(self, job: Job) -> float:
        """0: send it; infinite: when a call has ended."""
        raise NotImplementedError

    def sent(self, job: Job) -> None:
        """It goes now."""

    def learn(self, job: Job, answer: Answer) -> None:
        """It ended."""

    def retry_s(self, job: Job, answer: Answer) -> float | None:
        """Seconds until it goes again, None: it is given up."""
        if answer.retry_after:
            return answer.retry_after + 0.5 * self.world.chance.random()
        return min(30.0, 2.0 ** min(job.attempts - 1, 6)) * (0.5 + 0.5 * self.world.chance.random())

    def arrive(self, job: Job, again: bool = False) -> None:
        line = self._lines[job.lane]
        (line.appendleft if again else line.append)(job)

    def pump(self) -> None:
        while line := self._lines[0] or self._lines[1]:
            wait_s = self.wait_s(line[0])
            if wait_s > 0:
                return self._wake(self.now + max(wait_s, 1e-4))
            job = line.popleft()
            self.flying += 1
            self.sent(job)
            self.world.send(job)

    def _wake(self, when: float) -> None:
        if when < self._wakes_at - 1e-9:
            self._wakes_at = when
            self.world.clock.at(when, self._woken, when)

    def _woken(self, when: float) -> None:
        if self._wakes_at == when:
            self._wakes_at = INF
            self.pump()

    def ended(self, job: Job, answer: Answer) -> None:
        delay_s = None if answer.status == 200 else self.retry_s(job, answer)
        self.learn(job, answer)
        if delay_s is not None and self.keeps_slot:
            self.world.clock.at(self.now + delay_s, self.world.send, job)
        else:
            self.flying -= 1
            if delay_s is not None:
                self.world.clock.at(self.now + delay_s, self._come_again, job)
            elif answer.status != 200:
                self.world.tally.lost += 1
        self.pump()

    def _come_again(self, job: Job) -> None:
        self.arrive(job, again=True)
        self.pump()


class Fixed(Peer):
    """So many calls at once in each worker; random exponential back-off, six attempts."""

    keeps_slot = True

    def __init__(self, world: Site, most: int) -> None:
        super().__init__(world)
        self._most = most

    def wait_s(self, job: Job) -> float:
        return 0.0 if self.flying < self._most else INF

    def retry_s(self, job: Job, answer: Answer) -> float | None:
        if job.attempts >= 6:
            return None
        return max(1.0, self.world.chance.random() * min(60.0, 2.0 ** (job.attempts - 1)))


class Aimd(Peer):
    """One more call at once after each success near the limit, a tenth less after each failure."""

    limit = 10.0

    def wait_s(self, job: Job) -> float:
        return 0.0 if self.flying < int(self.limit) else INF

    def learn(self, job: Job, answer: Answer) -> None:
        if answer.status != 200:
            self.limit = max(1.0, min(self.limit - 1, int(self.limit * 0.9)))
        elif 2 * self.flying >= self.limit:
            self.limit = min(200.0, self.limit + 1)


class SdkAdaptive(Peer):
    """An SDK's adaptive retry mode: a send rate that follows a cubic curve after each throttling; 100 at once."""

    def __init__(self, world: Site) -> None:
        super().__init__(world)
        self._bucket: Bucket | None = None
        self._most = self._recovery_s = self._failed_at = 0.0
        self._measured, self._count, self._slot = 0.0, 0, 0.0

    def wait_s(self, job: Job) -> float:
        if self.flying >= 100 / self.world.scenario.workers:
            return INF
        return self._bucket.wait_s(self.now, 1) if self._bucket else 0.0

    def sent(self, job: Job) -> None:
        if self._bucket:
            self._bucket.take(self.now, 1)

    def _measure(self) -> None:
        self._count += 1
        slot = math.floor(2 * self.now) / 2
        if slot > self._slot:
            self._measured = 0.8 * self._count / (slot - self._slot) + 0.2 * self._measured
            self._count, self._slot = 0, slot

    def learn(self, job: Job, answer: Answer) -> None:
        self._measure()
        if answer.status == 429:
            self._most = min(self._measured, self._bucket.rate) if self._bucket else self._measured
            self._failed_at, self._recovery_s = self.now, (self._most * 0.3 / 0.4) ** (1 / 3)
            self._pace(0.7 * self._most)
        elif self._bucket:
            self._pace(0.4 * (self.now - self._failed_at - self._recovery_s) ** 3 + self._most)

    def _pace(self, rate: float) -> None:
        rate = max(0.5, min(rate, 2 * self._measured))
        if self._bucket is None:
            self._bucket = Bucket(rate, max(1.0, rate))
            self._bucket.level = 0.0
        self._bucket.change(self.now, rate, max(1.0, rate))


class Told(Peer):
    """Buckets a minute deep at the true limits of the start, in equal parts; 15 s of rest after a 429."""

    def __init__(self, world: Site) -> None:
        super().__init__(world)
        hidden, share = world.scenario.hidden, 1 / world.scenario.workers
        limits = [(hidden.rpm, lambda job: 1.0), (hidden.tpm, lambda job: float(job.reserved))]
        self._buckets = [(Bucket(n * share / 60, n * share), cost) for n, cost in limits if n < INF]
        self._rests_until = 0.0

    def wait_s(self, job: Job) -> float:
        if self.now < self._rests_until:
            return self._rests_until - self.now
        if self.flying >= 800 / self.world.scenario.workers:
            return INF
        return max(bucket.wait_s(self.now, min(cost(job), bucket.depth)) for bucket, cost in self._buckets)

    def sent(self, job: Job) -> None:
        for bucket, cost in self._buckets:
            bucket.take(self.now, min(cost(job), bucket.depth))

    def learn(self, job: Job, answer: Answer) -> None:
        if answer.status == 429:
            self._rests_until = self.now + 15

    def retry_s(self, job: Job, answer: Answer) -> float | None:
        return None if job.attempts >= 5 else 0.1


class Crowd:
    """The workers of a run, each with a peer of its own; jobs are dealt out."""

    def __init__(self, world: Site, make: Callable[[Site], Peer]) -> None:
        self._peers = [make(world) for _ in range(world.scenario.workers)]

    def _of(self, job: Job) -> Peer:
        return self._peers[job.id % len(self._peers)]

    def arrive(self, arrivals: list[Job]) -> None:
        for job in arrivals:
            self._of(job).arrive(job)
        for peer in {id(self._of(job)): self._of(job) for job in arrivals}.values():
            peer.pump()

    def ended(self, job: Job, answer: Answer) -> None:
        self._of(job).ended(job, answer)


PEERS: dict[str, Callable[[Site], Peer]] = {
    "fixed 10": lambda world: Fixed(world, 10),
    "fixed 50": lambda world: Fixed(world, 50),
    "fixed 100": lambda world: Fixed(world, 100),
    "AIMD": Aimd,
    "SDK adaptive": SdkAdaptive,
    "told buckets": Told,
}
