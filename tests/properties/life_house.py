"""What the house does: time passes, workers die or freeze, loops take back what they held; and acts at once."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from app.domain.job import Status
from app.domain.step import StepWrite
from tests.conformance.journal_suite import record
from tests.properties.life_machine import ANYONE, ELAPSES, PICKS
from tests.properties.life_model import reachable
from tests.properties.life_stage import WORKERS, Held, together
from tests.properties.life_ways import WAYS, Way, leave_of
from tests.properties.life_workers import Workers
from tests.store.parts import PROJECT

_ALL = frozenset(range(WORKERS))
_ACTS = st.sampled_from(["end", "end", "step", "step", "park", "cancel", "recover"])
_FENCED = ("end", "park", "step")


class House(Workers):
    """Its rules."""

    @rule(open=st.booleans())
    def night(self, open: bool) -> None:
        self.stage.night(open)

    @rule(worker=ANYONE, died=st.booleans())
    def recover(self, worker: int, died: bool) -> None:
        """Its parent saw it die, or it gives back what it does not know; then it is there again."""
        doors = self.stage.beats[worker]
        if died:
            self.run(doors.release(self.stage.workers[worker].id))
        self._take_back([worker], died=died)
        self.run(doors.register("worker", "host", 1, [self.stage.lane], 4.0))

    @rule(pick=PICKS, died=st.booleans(), way=st.sampled_from(WAYS))
    def lose(self, pick: int, died: bool, way: Way) -> None:
        """A worker loses a job, another has it, and the first goes on with it."""
        for held in self.claims(pick):
            self.recover(held.worker, died)
            self.claim((held.worker + 1) % WORKERS, 1)
            self.written(held, "lost", paid=died)
            self.left(held, way, 0.0, charged=False)

    @rule(seconds=ELAPSES, beating=st.one_of(st.just(_ALL), st.frozensets(ANYONE)))
    def elapse(self, seconds: float, beating: frozenset[int]) -> None:
        """Time passes; who does not beat is taken for dead, and joins again."""
        self.stage.elapse(seconds)
        self.world.now += seconds
        for worker in beating:
            assert self.run(self.stage.beats[worker].beat()).alive
        self.stage.give_up_late()
        silent = sorted(_ALL - beating)
        self._take_back(silent, died=True)
        self.run(self.stage.store.controls.expire_due())
        self.world.expire()
        self._sweep()
        for worker in silent:
            assert not self.run(self.stage.beats[worker].beat()).alive
            self.run(self.stage.beats[worker].register("worker", "host", 1, [self.stage.lane], 4.0))

    @rule(pick=PICKS, acts=st.lists(st.tuples(_ACTS, PICKS), min_size=2, max_size=4), one_process=st.booleans())
    def race(self, pick: int, acts: list[tuple[str, int]], one_process: bool) -> None:
        """Several acts on one job at once, by present and former owners: what happened is read back and judged.

        In one process they may share a transaction: a worker that lost a job may have claimed it again.
        """
        for about in self.claims(pick):
            own = [one for one in self.held if one.job.id == about.job.id][-2:]
            chosen = [(act, own[owner % len(own)]) for act, owner in acts]
            doors = own[-1].worker if one_process else None
            life = self.life(about.job)
            before, epoch, ends = life.status, life.epoch, life.ends
            answers = self.run(together([self._act(act, held, doors) for act, held in chosen]))
            for (act, held), answer in zip(chosen, answers, strict=True):
                assert not (answer and act in _FENCED and held.job.epoch < epoch), "a former owner's write took effect"
            statuses = {one.id: one.status for one in self.world.lives}
            self.adopt()
            assert life.status in reachable(before, len(acts)) and life.epoch >= epoch
            assert life.ends - ends == (life.status.terminal and not before.terminal)
            assert all(one.status in reachable(statuses[one.id], len(acts)) for one in self.world.lives)

    def _act(self, act: str, held: Held, process: int | None) -> Awaitable[Any]:
        doors = self.stage.workers[held.worker if process is None else process]
        match act:
            case "end":
                return doors.leaves.leave(leave_of(held, Status.SUCCEEDED, None, self.at(0), charged=False))
            case "park":
                return doors.leaves.leave(leave_of(held, Status.QUEUED, None, self.at(0), charged=False))
            case "step":
                return doors.steps.write(held.job, StepWrite(record("raced", attempt=held.job.attempt)))
            case "cancel":
                return self.stage.store.controls.cancel(PROJECT, held.job.id)
            case _:
                return self.stage.store.controls.recover([doors.id], died=False)

    def _take_back(self, workers: list[int], *, died: bool) -> None:
        lost = [life for life in self.world.lives if life.holder in workers]
        owners = [self.stage.workers[worker].id for worker in workers]
        moved = self.run(self.stage.store.controls.recover(owners, died=died))
        assert {move.id for move in moved} == {life.id for life in lost}
        for life in sorted(lost, key=lambda one: one.id):
            self.world.recover(life, died=died)
            self.let_go(life)

    def _sweep(self) -> None:
        while self.run(self.stage.children.sweep()) is not None:
            pass
        self.world.sweep()
