"""Workers while Redis is away: each paces itself by the last snapshot, and slows down when refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.limits.provider import Answer
from bench.limits.traffic import Job
from bench.limits.world import World


class _Pacer:
    """One dimension of one worker's snapshot: a bucket that is empty at first."""

    def __init__(self, name: str, rate: float, depth: float, now: float) -> None:
        self._name, self._rate, self._depth = name, rate, depth
        self._level, self._at = 0.0, now

    def _cost(self, job: Job) -> float:
        costs = {"requests": 1, "tokens_input": job.input, "tokens_output": job.max_tokens}
        return min(self._depth, costs.get(self._name, job.reserved))

    def wait_s(self, job: Job, now: float) -> float:
        self._level = min(self._depth, self._level + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, (self._cost(job) - self._level) / self._rate)

    def take(self, job: Job) -> None:
        self._level -= self._cost(job)

    def slow_down(self) -> None:
        self._rate, self._level = 0.8 * self._rate, min(0.0, self._level)


class _Worker:
    def __init__(self, snapshot: Any, now: float) -> None:
        self.cap, self.flying, self.cut_at = int(snapshot.cap), 0, now
        self.pacers = [_Pacer(d.name, d.rate, d.depth, now) for d in snapshot.dimensions.values()]


class Alone:
    """All workers of a run, each for itself; they share the jobs, as those lie in the database."""

    def __init__(
        self, world: World, desk: Any, snapshot: Any, jobs: dict[int, Job], fly: Callable[[Job], None]
    ) -> None:
        self._world, self._desk, self._jobs, self._fly = world, desk, jobs, fly
        self._workers = [_Worker(snapshot, world.clock.now) for _ in range(world.scenario.workers)]
        self._of: dict[int, _Worker] = {}

    def go(self) -> None:
        """Each worker sends what it may."""
        for worker in self._workers:
            while worker.flying < worker.cap and self._send(worker):
                pass

    def _send(self, worker: _Worker) -> bool:
        now, head = self._world.clock.now, self._desk.alone(self._world.clock.now)
        if not head:
            return False
        lane, tenant, number = head
        job = self._jobs[number]
        wait_s = max((pacer.wait_s(job, now) for pacer in worker.pacers), default=0.0)
        if wait_s > 1e-9:
            self._world.clock.at(now + wait_s + 1e-4, self._again, worker)
            return False
        for pacer in worker.pacers:
            pacer.take(job)
        self._desk.pop(lane, tenant)
        worker.flying += 1
        self._of[number] = worker
        self._fly(job)
        return True

    def _again(self, worker: _Worker) -> None:
        while worker.flying < worker.cap and self._send(worker):
            pass

    def settle(self, job: Job, answer: Answer) -> bool:
        """Whether the call was granted by a worker alone."""
        worker = self._of.pop(job.id, None)
        if worker is None:
            return False
        worker.flying -= 1
        if answer.status == 429 and answer.sent > worker.cut_at:
            worker.cut_at = self._world.clock.now
            for pacer in worker.pacers:
                pacer.slow_down()
        return True
