"""The controller in the shape of the service: waiters register, the head of the line is granted, whoever asked."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from lupa.lua51 import LuaRuntime

from app.gateway.pools.adaptive import SOURCE
from bench.limits.alone import Alone
from bench.limits.provider import Answer
from bench.limits.traffic import Job
from bench.limits.world import World

_DESK = files("bench.limits").joinpath("desk.lua").read_text(encoding="utf-8")
_CEILING = 400
_MOST = 64  # grants of one script


class Service:
    """`workers` processes around one Redis: each script is one step in it, and a message a millisecond or two away."""

    def __init__(self, world: World, *, fair: bool = True) -> None:
        self._world, self._fair = world, fair
        self.lua = LuaRuntime(unpack_returned_tuples=True)
        self.desk: Any = self.lua.execute(f"{SOURCE}\n{_DESK}")
        self.desk.open(0.0, self.lua.table(ceiling=_CEILING, **dict(world.scenario.told)))
        self._jobs = {job.id: job for job in world.jobs}
        self._flying = 0
        self._asks_at: float | None = None
        self._alone: Alone | None = None
        self._snapshot: Any = None
        self._owed: list[tuple[Job, Answer, bool]] = []
        world.clock.at(1.0, self._beat)
        if away := world.scenario.redis_away:
            world.clock.at(away[0], self._lose)
            world.clock.at(away[1], self._return)

    def arrive(self, arrivals: Sequence[Job]) -> None:
        for job in arrivals:
            self._register(job, again=False)
        self._grant()

    def ended(self, job: Job, answer: Answer) -> None:
        self._world.clock.at(self._world.clock.now + self._hop_s(), self._settle, job, answer)

    def _register(self, job: Job, again: bool) -> None:
        tenant = job.tenant if self._fair else "all"
        self.desk.register(job.id, job.lane, tenant, job.input, job.max_tokens, job.arrives, again)

    def _come_again(self, job: Job) -> None:
        self._register(job, again=True)
        self._grant()

    def _hop_s(self) -> float:
        return self._world.scenario.hop_s * (0.5 + self._world.chance.random())

    # One script: grants to heads of the line, for all workers; whoever asked comes again when the next may be due.
    def _grant(self) -> None:
        if self._alone:
            return self._alone.go()
        self._world.tally.scripts += 1
        now = self._world.clock.now
        wait_s, *granted = _several(self.desk.grant(now, self._flying, _MOST))
        for number in granted:
            self._fly(self._jobs[number])
        if wait_s >= 0:
            self._ask_at(now + max(wait_s, 0.001))

    def _fly(self, job: Job) -> None:
        self._flying += 1
        self._world.clock.at(self._world.clock.now + self._hop_s(), self._world.send, job)

    def _ask_at(self, when: float) -> None:
        if self._asks_at is None or when < self._asks_at - 1e-9:
            self._asks_at = when
            self._world.clock.at(when, self._ask, when)

    def _ask(self, when: float) -> None:
        if self._asks_at == when:
            self._asks_at = None
            self._grant()

    def _settle(self, job: Job, answer: Answer) -> None:
        self._flying -= 1
        if self._alone:
            self._owed.append((job, answer, self._alone.settle(job, answer)))
        else:
            self._tell(job, answer)
        if answer.status != 200:
            self._world.clock.at(self._world.clock.now + self._retry_s(job, answer), self._come_again, job)
        self._grant()

    def _tell(self, job: Job, answer: Answer) -> None:
        limits = self.lua.table_from(answer.limits) if answer.limits else None
        sent, used, after = answer.sent, answer.used, answer.retry_after
        self.desk.settle(
            self._world.clock.now, job.id, self._flying, answer.status, sent, used, after, answer.label, limits
        )

    # Pacing decides when a refused call goes again; other failures back off on their own.
    def _retry_s(self, job: Job, answer: Answer) -> float:
        chance = self._world.chance.random()
        if answer.status == 429:
            return 0.3 * (1 + chance) if self._alone else 0.02
        return min(10.0, 0.5 * 2.0 ** min(job.attempts - 1, 5)) * (0.5 + 0.5 * chance)

    def _beat(self) -> None:
        now = self._world.clock.now
        self._world.clock.at(now + 1.0, self._beat)
        if not self._alone:
            self._snapshot = self.desk.beat(now, self._world.scenario.workers)
            self._grant()

    def _lose(self) -> None:
        self._alone = Alone(self._world, self.desk, self._snapshot, self._jobs, self._fly)
        self._alone.go()

    def _return(self) -> None:
        self._alone = None
        self._snapshot = self.desk.beat(self._world.clock.now, self._world.scenario.workers)
        for job, answer, _ in self._owed:
            self._tell(job, answer)
        self._owed.clear()
        self._grant()


def _several(result: Any) -> Sequence[Any]:
    return result if isinstance(result, tuple) else (result,)
