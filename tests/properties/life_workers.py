"""What workers do with jobs, also with those that they have lost: claim, record, spend, leave, start children."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import strategies as st
from hypothesis.stateful import rule

from app.domain.job import Claimed, Reason, Status
from app.domain.step import StepPlace, StepWrite
from app.store.children import ChildrenOf
from tests.conformance.journal_suite import call, record
from tests.properties.life_clients import Clients
from tests.properties.life_machine import ANYONE, PICKS, WAITS, one_of
from tests.properties.life_model import NEVER, Life, Spawn
from tests.properties.life_stage import WORKERS, Held, together
from tests.properties.life_ways import ENDS, OFTEN, WAYS, Way, leave_of

CHILDREN = 2
_STEPS = st.sampled_from(["one", "two"])
_WAITS = (Status.WAITING, Reason.CHILDREN)
_LATER = datetime(2999, 1, 1, tzinfo=UTC)
_TO_STEP = StepPlace("cut off", "", "00f067aa0ba902b7")


class Workers(Clients):
    """Their rules."""

    @rule(worker=ANYONE, tickets=st.integers(1, 2))
    def claim(self, worker: int, tickets: int) -> None:
        """One ticket, or one that was doubled; of a lost one nothing is seen at all."""
        claims = self.stage.workers[worker].claims
        found = self.run(together([claims.claim(self.stage.lane) for _ in range(tickets)]))
        for job in found:
            if job is not None:
                self._claimed(worker, job)
        if None in found:
            # One suspect at a time: the worker may hold another.
            assert not [life for life in self.world.lives if self._claimable(life) and not life.suspect]

    @rule(pick=PICKS, step=_STEPS, paid=st.booleans())
    def write_step(self, pick: int, step: str, paid: bool) -> None:
        for held in self.claims(pick):
            self.written(held, step, paid=paid)

    @rule(pick=PICKS)
    def book_late(self, pick: int) -> None:
        """A call whose step did not end."""
        for held in self.claims(pick):
            made = call()
            self.run(self.stage.workers[held.worker].steps.book(held.job, [(_TO_STEP, made)]))
            held.spend(made)

    @rule(pick=PICKS, way=st.sampled_from(ENDS))
    def end(self, pick: int, way: Way) -> None:
        for held in self.claims(pick):
            self.left(held, way, 0.0, charged=False)

    @rule(pick=PICKS, way=st.sampled_from([*WAYS, *OFTEN]), wait_s=WAITS, charged=st.booleans())
    def leave(self, pick: int, way: Way, wait_s: float, charged: bool) -> None:
        for held in self.claims(pick):
            self.left(held, way, wait_s, charged=charged and way[1] is Reason.RETRY)

    @rule(pick=PICKS, parks_first=st.booleans(), ends=st.lists(st.sampled_from(ENDS), max_size=CHILDREN))
    def family(self, pick: int, parks_first: bool, ends: list[Way]) -> None:
        """A job starts children and waits for them, before or after some of them end."""
        for held in self.claims(pick):
            if self.spawned(held) and parks_first:
                self.left(held, _WAITS, 0.0, charged=False)
            for end in ends:
                self.claim(pick % WORKERS, CHILDREN)
                spawn = self.life(held.job).spawn
                children = [one for one in self.held if self.stands(one) and spawn and self._is_of(one, spawn)]
                for child in children[:1]:
                    self.left(child, end, 0.0, charged=False)
            if not parks_first:
                self.left(held, _WAITS, 0.0, charged=False)

    @rule(pick=PICKS)
    def read_children(self, pick: int) -> None:
        """How they ended, if they have."""
        readers = [held for held in self.held if self.stands(held) and self.life(held.job).spawn]
        for held in one_of(readers, pick):
            spawn = self.life(held.job).spawn
            row = self.run(self.stage.children.spawn(held.job, "s", "", b"d"))
            assert row is not None and spawn is not None and row.open == spawn.open
            if not row.reviving:
                ends = self.run(self.stage.children.ends(row))
                assert (ends is not None) == (spawn.open == 0)
                spawn.awaited = spawn.awaited and ends is None

    def written(self, held: Held, step: str, *, paid: bool) -> None:
        """A step's record, if the job is the worker's."""
        life, made = self.life(held.job), call()
        output = f'"{made.id}"'.encode()
        write = StepWrite(record(step, output=output, attempt=held.job.attempt), (made,) if paid else ())
        written = self.run(self.stage.workers[held.worker].steps.write(held.job, write))
        assert written == self.stands(held)
        if paid:
            held.spend(made)
        if written:
            life.steps.setdefault(step, output)

    def left(self, held: Held, way: Way, wait_s: float, *, charged: bool) -> None:
        """The job left that way, if it is the worker's; a park is refused where a cancel came first."""
        life, (status, reason) = self.life(held.job), way
        due_at, until = self.world.now + wait_s, self.at(wait_s)
        if reason is Reason.CHILDREN:
            due_at, until = NEVER, _LATER
            if not self.spawned(held):
                return
        leave = leave_of(held, status, reason, until, charged=charged)
        moved = self.run(self.stage.workers[held.worker].leaves.leave(leave))
        takes = self.stands(held) and (status.terminal or not life.cancel)
        assert (moved is not None) == takes
        if takes:
            self.world.leave(life, status, reason, due_at, charged=charged)
            self.let_go(life)

    def spawned(self, held: Held) -> bool:
        """Its children started, or those that were canceled with it let go on; whether it may wait for them."""
        life, doors = self.life(held.job), self.stage.children
        if life.parent is not None:
            return False
        row = self.run(doors.spawn(held.job, "s", "", b"d"))
        assert (row is not None) == self.stands(held)
        if row is None:
            return False
        spawn = life.spawn
        if spawn is None:
            spawn = Spawn(row.id, [], 0)
            life.spawns.append(spawn)
        if row.started < CHILDREN:
            common = ChildrenOf("noop", "1", self.stage.lane, 60.0, None, "00f067aa0ba902b7")
            assert self.run(doors.start(held.job, row, common, [b"0"] * CHILDREN)) is not None
            self.world.bear(life, spawn, [row.child(n) for n in range(CHILDREN)])
        elif row.reviving:
            assert self.run(doors.revive(held.job, row)) is not None
            self.world.revive(life, spawn)
        return spawn.awaited

    def claims(self, pick: int) -> Sequence[Held]:
        """One claim: mostly one that stands, made now where there is none; else any, also of who lost the job."""
        if pick % 8 == 7:
            return one_of(self.held, pick // 8)
        if not any(map(self.stands, self.held)):
            if not any(map(self._claimable, self.world.lives)):
                self.submit()
            self.claim(pick % WORKERS, 1)
        return one_of([held for held in self.held if self.stands(held)], pick // 8)

    def stands(self, held: Held) -> bool:
        """Whether the worker owns the job."""
        return self.life(held.job).owned(held.job.epoch)

    def _is_of(self, held: Held, spawn: Spawn) -> bool:
        return self.life(held.job) in spawn.children

    def _claimable(self, life: Life) -> bool:
        return self.world.claimable(life, off_peak=not self.stage.closed)

    def _claimed(self, worker: int, job: Claimed) -> None:
        life = self.life(job)
        assert self._claimable(life)
        self.world.claim(life, worker)
        assert job.epoch == life.epoch
        usage, cost = self.run(self.stage.workers[worker].steps.used(job))
        self.held.append(Held(worker, job, usage, cost))
