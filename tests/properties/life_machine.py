"""The machine's frame: model and stage side by side, and the comparison after each act."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from app.domain.job import Claimed, Reason, Status
from tests.properties.life_model import Life, Spawn, World
from tests.properties.life_stage import WORKERS, Held, Stage, seen, shown

T = TypeVar("T")
ANYONE = st.integers(0, WORKERS - 1)
# Draws never depend on what the store answered, so that Hypothesis can replay them.
PICKS = st.sampled_from(range(2520))
# No sum of these is near a sum of the times that jobs wait, so that nothing hangs on a few seconds.
ELAPSES = st.sampled_from([60.0, 60.0, 700.0, 2 * 3600.0, 73 * 3600.0])
WAITS = st.sampled_from([0.0, 0.0, 110.0, 1030.0])
CLOCKS = st.sampled_from([*[None] * 6, 1030.0])


class Frame(RuleBasedStateMachine):
    """`held` are all claims so far, also those whose owner has lost the job since.

    `thorough`: after every act all invariants are looked at, else only at the end.
    """

    def __init__(self, stage: Stage, thorough: bool) -> None:
        super().__init__()
        self.stage, self.world, self.thorough = stage, World(), thorough
        self.held: list[Held] = []
        self.keys: dict[str, tuple[Life, float]] = {}

    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        rows, spawns = self.stage.rows(), self.stage.spawns()
        assert set(rows) == {life.id for life in self.world.lives}
        for life in self.world.lives:
            assert shown(rows[life.id], self.stage.holder(rows[life.id])) == seen(life, self.world.now), str(life.id)
        for spawn in self.spawns():
            row = spawns[spawn.id]
            told = (spawn.open, spawn.awaited, spawn.retired, spawn.canceling, spawn.reviving)
            assert (row["open"], row["awaited"], row["retired"], row["canceling"], row["reviving"]) == told
        if self.thorough:
            assert self.stage.broken() == []

    def teardown(self) -> None:
        try:
            assert self.stage.broken() == []
        finally:
            self.stage.close()

    def run(self, act: Awaitable[T]) -> T:
        return self.stage.run(act)

    def spawns(self) -> list[Spawn]:
        return [spawn for life in self.world.lives for spawn in life.spawns]

    def life(self, job: Claimed) -> Life:
        return next(life for life in self.world.lives if life.id == job.id)

    def lives(self, pick: int, statuses: Collection[Status]) -> Sequence[Life]:
        """One job: mostly in one of these states, where there is such a one."""
        fit = [life for life in self.world.lives if life.status in statuses]
        return one_of(fit if fit and pick % 6 < 5 else self.world.lives, pick // 6)

    def let_go(self, life: Life) -> None:
        """Its former owners run it no more."""
        for worker in self.stage.workers:
            worker.claims.let_go(life.id)

    def at(self, wait_s: float) -> datetime:
        """So many seconds from now, for the store; a moment ago for none."""
        return datetime.now(UTC) + timedelta(seconds=wait_s or -1)

    def adopt(self) -> None:
        """Take the rows for true: of acts at once, nobody knows which came first."""
        rows, spawns = self.stage.rows(), self.stage.spawns()
        for life in self.world.lives:
            self._adopt(life, rows[life.id])
            self.let_go(life)
            life.spawns = [spawn for spawn in life.spawns if spawn.id in spawns]
        for spawn in self.spawns():
            row = spawns[spawn.id]
            spawn.open, spawn.awaited, spawn.retired = row["open"], row["awaited"], row["retired"]
            spawn.canceling, spawn.reviving = row["canceling"], row["reviving"]

    def _adopt(self, life: Life, row: Any) -> None:
        now = shown(row, self.stage.holder(row))
        for name in ("epoch", "attempt", "cancel", "ends", "held", "holder", "claimed", "steps"):
            setattr(life, name, now[name])
        life.status, life.reason = Status(row["status"]), Reason(row["reason"]) if row["reason"] else None
        life.deaths = life.deaths[-row["deaths"] :] if row["deaths"] else []
        life.due_at = self.world.now + row["due_in_s"]
        life.expire_by = None if row["expire_in_s"] is None else self.world.now + row["expire_in_s"]


def one_of(things: Sequence[T], pick: int) -> Sequence[T]:
    """One of them, or none where there are none."""
    return [things[pick % len(things)]] if things else []
