"""Any order of submit, claim, step, leave, recover, cancel and retry by three workers, on a real PostgreSQL.

No write of an old epoch has effect, a job has at most one end event in each life, and its state moves along the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from app.domain import ids
from app.domain.errors import ErrorClass, Failure
from app.domain.job import Claimed, Reason, Status
from app.domain.step import StepWrite
from app.store.database import open_database
from app.store.leaves import Leave
from app.store.migrate import migrate
from tests.conformance.journal_suite import record
from tests.properties.life_model import Life, reachable
from tests.store.parts import PROJECT, Store, running_postgres, webhook

T = TypeVar("T")
WORKERS = st.integers(0, 2)
RETRIED = (Status.FAILED, Status.CANCELED, Status.EXPIRED)
MOST_JOBS = 3
STEPS = st.sampled_from(["one", "two"])
LEFT = [status for status in Status if status is not Status.RUNNING]
ACTS = st.sampled_from(["end", "end", "step", "step", "park", "cancel", "recover"])
FENCED = ("end", "park", "step")
# Draws never depend on what the store answered, so that Hypothesis can replay them.
PICKS = st.integers(0, 10_000)
_ROW = """
select j.status, j.epoch, j.worker_id, j.cancel_requested, coalesce(cardinality(j.deaths), 0) as deaths,
    j.due_at <= clock_timestamp() as due,
    (select count(*) from events e where e.job_id = j.id
        and e.type in ('job.succeeded', 'job.failed', 'job.canceled', 'job.expired')) as ends,
    (select count(*) from deliveries d where d.job_id = j.id) as hooks
from jobs j where j.id = $1
"""


class Lives(RuleBasedStateMachine):
    """Each rule acts on the store and on the model, and then compares the job's row with the model."""

    def __init__(self, store: Store, runner: asyncio.Runner) -> None:
        super().__init__()
        self.store, self.runner = store, runner
        self.lane = ids.uuid7().hex
        self.workers = [store.worker() for _ in range(3)]
        self.lives: list[Life] = []
        self.claims: list[tuple[int, Claimed]] = []

    @rule()
    def submit(self) -> None:
        if len(self.lives) < MOST_JOBS:
            self.lives.append(Life(self._await(self.store.submit(self.lane, webhook=webhook()))))

    @rule(worker=WORKERS)
    def claim(self, worker: int) -> None:
        job = self._await(self.workers[worker].claims.claim(self.lane))
        if job is None:
            # One suspect at a time: the worker may hold another.
            assert not [life for life in self.lives if life.claimable and not life.suspect]
            return
        life = self._life(job)
        assert life.claimable
        life.claim(worker)
        assert job.epoch == life.epoch
        self.claims.append((worker, job))
        self._compare(life)

    @rule(pick=PICKS, step=STEPS)
    def write_step(self, pick: int, step: str) -> None:
        for worker, job in _one(self.claims, pick):
            life, output = self._life(job), f'"{ids.uuid7()}"'.encode()
            written = self._await(self.workers[worker].steps.write(job, StepWrite(record(step, output=output))))
            assert written == life.owned(job.epoch)
            if written:
                life.steps.setdefault(step, output)
            self._compare(life)

    @rule(pick=PICKS, status=st.sampled_from(LEFT), due=st.booleans())
    def leave(self, pick: int, status: Status, due: bool) -> None:
        for worker, job in _one(self.claims, pick):
            life = self._life(job)
            moved = self._await(self.workers[worker].leaves.leave(_leave(job, status, due)))
            takes = life.owned(job.epoch) and (status.terminal or not life.cancel)
            assert (moved is not None) == takes
            if takes:
                life.leave(status, due=due)
                self.workers[worker].claims.let_go(job.id)
            self._compare(life)

    @rule(worker=WORKERS, died=st.booleans())
    def recover(self, worker: int, died: bool) -> None:
        """Then at once claim again: by that worker, so that it has former and present claims of a job."""
        held = [life for life in self.lives if life.holder == worker]
        moved = self._await(self.store.controls.recover([self.workers[worker].id], died=died))
        assert {move.id for move in moved} == {life.id for life in held}
        for life in held:
            life.recover(died=died)
            self.workers[worker].claims.let_go(life.id)
            self._compare(life)
        self.claim(worker)

    @rule(pick=PICKS)
    def cancel(self, pick: int) -> None:
        for life in _one(self.lives, pick):
            self._await(self.store.controls.cancel(PROJECT, life.id))
            life.ask_to_cancel()
            self._compare(life)

    @rule(pick=PICKS, from_start=st.booleans())
    def retry(self, pick: int, from_start: bool) -> None:
        for life in _one(self.lives, pick):
            refused = self._await(self.store.controls.retry(PROJECT, life.id, version=None, from_start=from_start))
            assert (refused is None) == (life.status in RETRIED)
            if refused is None:
                life.retry(from_start=from_start)
            self._compare(life)

    @rule(pick=PICKS, acts=st.lists(st.tuples(ACTS, PICKS), min_size=2, max_size=4), one_process=st.booleans())
    def race(self, pick: int, acts: list[tuple[str, int]], one_process: bool) -> None:
        """Several acts on one job at once, by present and former owners: what happened is read back and judged.

        In one process they may share a transaction: a worker that lost a job may have claimed it again.
        """
        for _, about in _one(self.claims, pick):
            life, own = self._life(about), [claim for claim in self.claims if claim[1].id == about.id][-2:]
            chosen = [(act, *own[owner % len(own)]) for act, owner in acts]
            if one_process:
                chosen = [(act, own[-1][0], job) for act, _, job in chosen]
            before = (life.status, life.epoch, life.ends)
            answers = self._await(_all(self._act(*one) for one in chosen))
            for (act, _, job), answer in zip(chosen, answers, strict=True):
                assert not (answer and act in FENCED and job.epoch < life.epoch), "a former owner's write took effect"
            self._adopt(life, before, len(acts))

    def _act(self, act: str, worker: int, job: Claimed) -> Awaitable[Any]:
        doors = self.workers[worker]
        match act:
            case "end":
                return doors.leaves.leave(_leave(job, Status.SUCCEEDED, True))
            case "park":
                return doors.leaves.leave(_leave(job, Status.WAITING, True))
            case "step":
                return doors.steps.write(job, StepWrite(record("raced")))
            case "cancel":
                return self.store.controls.cancel(PROJECT, job.id)
            case _:
                return self.store.controls.recover([doors.id], died=False)

    def _adopt(self, life: Life, before: tuple[Status, int, int], moves: int) -> None:
        """Take the row for true, if it may be."""
        status, epoch, ends = before
        row = self._row(life)
        assert Status(row["status"]) in reachable(status, moves)
        assert row["epoch"] >= epoch and row["ends"] - ends in (0, 1)
        assert row["ends"] - ends == (Status(row["status"]).terminal and not status.terminal)
        holders = {worker.id: number for number, worker in enumerate(self.workers)}
        life.status, life.epoch, life.ends = Status(row["status"]), row["epoch"], row["ends"]
        life.holder, life.cancel, life.due = holders.get(row["worker_id"]), row["cancel_requested"], row["due"]
        life.holder = life.holder if life.status is Status.RUNNING else None
        life.steps = self._steps(life)
        for worker in self.workers:
            worker.claims.let_go(life.id)
        for other in self.lives:
            self._follow(other)

    def _follow(self, life: Life) -> None:
        """A recovery that was part of a race took the worker's other jobs too."""
        row = self._row(life)
        if life.status is Status.RUNNING and row["epoch"] != life.epoch:
            life.recover(died=False)
        self._compare(life)

    def _compare(self, life: Life) -> None:
        row = self._row(life)
        seen = (row["status"], row["epoch"], row["cancel_requested"], row["deaths"], row["ends"], row["hooks"])
        ends = life.ends
        assert seen == (life.status, life.epoch, life.cancel, life.deaths, ends, ends), str(life)
        assert self._steps(life) == life.steps

    def _row(self, life: Life) -> Any:
        return self._await(_fetchrow(self.store, life))

    def _steps(self, life: Life) -> dict[str, bytes]:
        return {one.name: one.output or b"" for one in self._await(self.workers[0].steps.load(life.id))}

    def _life(self, job: Claimed) -> Life:
        return next(life for life in self.lives if life.id == job.id)

    def _await(self, act: Awaitable[Any]) -> Any:
        return self.runner.run(_plain(act))


def _one(things: Sequence[T], pick: int) -> Sequence[T]:
    """One of them, or none where there are none."""
    return [things[pick % len(things)]] if things else []


def _leave(job: Claimed, status: Status, due: bool) -> Leave:
    at = datetime.now(UTC) + timedelta(seconds=-1 if due else 3600)
    failure = Failure(ErrorClass.TRANSIENT, "dependency_failed", "no") if status in RETRIED else None
    if status.terminal:
        return Leave(job, status, output=b"1" if status is Status.SUCCEEDED else None, error=failure)
    return Leave(job, status, reason=Reason.SYSTEM if status is Status.WAITING else None, due_at=at)


async def _fetchrow(store: Store, life: Life) -> Any:
    async with store.database.connection() as connection:
        return await connection.fetchrow(_ROW, life.id)


async def _all(acts: Iterator[Awaitable[Any]]) -> list[Any]:
    return list(await asyncio.gather(*acts))


async def _plain(act: Awaitable[Any]) -> Any:
    return await act


@pytest.fixture(scope="module")
def parts() -> Iterator[tuple[Store, asyncio.Runner]]:
    """A store of its own, and the loop that it lives in."""
    with running_postgres() as server, asyncio.Runner() as runner:
        runner.run(migrate(server.url))
        database = runner.run(open_database(server.url, 4))
        yield Store(database), runner
        runner.run(database.close())


def test_lives(parts: tuple[Store, asyncio.Runner]) -> None:
    lives: Any = lambda: Lives(*parts)  # noqa: E731
    run_state_machine_as_test(
        lives,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
