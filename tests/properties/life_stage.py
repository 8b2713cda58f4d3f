"""What the machine acts on: the store's doors as three workers and the house's loops hold them, and a clock of its own.

The store goes by the database's clock. Here time passes by moving every stored time back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, time
from typing import Any, TypeVar
from uuid import UUID

from app.domain import ids
from app.domain.call import Call
from app.domain.hours import Hours
from app.domain.job import Claimed, Usage
from app.ops.verify import CHECKS, told
from app.store.children import Children
from app.store.invariants.inspection import Inspection, Scope
from app.store.workers import Workers
from tests.properties.life_model import Life
from tests.store.parts import Store, Worker, render

T = TypeVar("T")
WORKERS = 3
LEASE_S = 4.0
_CLOSED = Hours(time(0), time(0, 0, 0, 1), UTC)
_ROWS = """
select j.id, j.status, j.reason, j.epoch, j.attempt, j.cancel_requested, j.worker_id,
    j.claimed_at is not null as claimed, coalesce(cardinality(j.deaths), 0) as deaths,
    extract(epoch from j.due_at - clock_timestamp())::float8 as due_in_s,
    extract(epoch from j.expire_by - clock_timestamp())::float8 as expire_in_s,
    (select count(*) from events e where e.job_id = j.id
        and e.type in ('job.succeeded', 'job.failed', 'job.canceled', 'job.expired')) as ends,
    (select count(*) from deliveries d where d.job_id = j.id) as hooks,
    array(select (s.name, s.output) from steps s where s.job_id = j.id) as steps
from jobs j
"""
_SPAWNS = "select id, open, awaited, retired, canceling, reviving from spawns"
_PASS = """
with jobs as (
    update jobs set due_at = case when due_at < '2900-01-01' then due_at - make_interval(secs => $1) else due_at end,
        expire_by = expire_by - make_interval(secs => $1), finish_by = finish_by - make_interval(secs => $1),
        claimed_at = claimed_at - make_interval(secs => $1), started_at = started_at - make_interval(secs => $1),
        deaths = array(select d - make_interval(secs => $1) from unnest(deaths) d)
), lines as (
    update ordering_lines set due_at = due_at - make_interval(secs => $1)
), keys as (
    update idempotency set created_at = created_at - make_interval(secs => $1)
)
update workers set beat_at = beat_at - make_interval(secs => $1), gone_at = gone_at - make_interval(secs => $1)
"""
_TABLES = (
    "jobs", "payloads", "steps", "attempts", "calls", "ledger", "events", "idempotency", "ordering_lines", "spawns",
    "job_webhooks", "deliveries", "workers", "tenants",
)  # fmt: skip
_CLEAR = ";".join(f"delete from {table}" for table in _TABLES)


@dataclass(slots=True)
class Held:
    """A claim that a worker has, or had, and what it knows that the job used."""

    worker: int
    job: Claimed
    usage: Usage
    cost_nanos: int

    def spend(self, call: Call) -> None:
        """It made that call."""
        self.usage, self.cost_nanos = self.usage + call.usage, self.cost_nanos + call.cost_nanos


class Stage:
    """The doors of one run; `night` opens the off-peak hours."""

    def __init__(self, store: Store, inspection: Inspection, runner: asyncio.Runner) -> None:
        self.store, self._inspection, self._runner = store, inspection, runner
        self.lane = ids.uuid7().hex
        self.closed = {self.lane: _CLOSED}
        self.workers: list[Worker] = [store.worker(self.closed) for _ in range(WORKERS)]
        self.beats = [Workers(store.database, worker.id) for worker in self.workers]
        self._watcher = Workers(store.database, ids.uuid7())
        self.children = Children(store.database, render)
        self.run(self._begin())

    def run(self, act: Awaitable[T]) -> T:
        return self._runner.run(_plain(act))

    def sql(self, statement: str, *values: Any) -> list[Any]:
        return self.run(self._sql(statement, *values))

    def rows(self) -> dict[UUID, Any]:
        return {row["id"]: row for row in self.sql(_ROWS)}

    def spawns(self) -> dict[UUID, Any]:
        return {row["id"]: row for row in self.sql(_SPAWNS)}

    def night(self, open: bool) -> None:
        """Whether jobs that wait for off-peak hours may start."""
        self.closed.clear()
        if not open:
            self.closed[self.lane] = _CLOSED

    def broken(self) -> list[str]:
        """Invariants that do not hold."""
        return self.run(self._broken())

    def elapse(self, seconds: float) -> None:
        """Move every stored time back."""
        self.sql(_PASS, seconds)

    def give_up_late(self) -> None:
        """Declare dead who did not beat."""
        self.run(self._give_up_late())

    def holder(self, row: Any) -> int | None:
        """Whose number the row's owner has."""
        return next((n for n, worker in enumerate(self.workers) if worker.id == row["worker_id"]), None)

    def close(self) -> None:
        """Leave an empty database."""
        self.run(self._close())

    async def _begin(self) -> None:
        for door in (*self.beats, self._watcher):
            await door.register("worker", "host", 1, [self.lane], LEASE_S)

    async def _give_up_late(self) -> None:
        await self._watcher.beat()
        await self._watcher.give_up_late()

    async def _broken(self) -> list[str]:
        found = self._inspection.findings(CHECKS, Scope())
        return [told(one) async for one in found if not one.holds]

    async def _sql(self, statement: str, *values: Any) -> list[Any]:
        async with self.store.database.connection() as connection:
            return list(await connection.fetch(statement, *values))

    async def _close(self) -> None:
        for door in (*self.beats, self._watcher):
            await door.close()
        async with self.store.database.connection() as connection:
            await connection.execute(_CLEAR)


def together(acts: Sequence[Awaitable[T]]) -> Coroutine[Any, Any, list[T]]:
    """All at once."""

    async def gathered() -> list[T]:
        return list(await asyncio.gather(*acts))

    return gathered()


def seen(life: Life, now: float) -> dict[str, Any]:
    """What a row must show of a job."""
    return {
        "status": life.status, "epoch": life.epoch, "attempt": life.attempt, "cancel": life.cancel,
        "deaths": len(life.deaths), "ends": life.ends, "hooks": life.ends if life.hooked else 0, "held": life.held,
        "due": life.live and not life.held and life.due_at <= now, "holder": life.holder, "claimed": life.claimed,
        "steps": life.steps, "expires": life.expire_by is not None,
    }  # fmt: skip


def shown(row: Any, holder: int | None) -> dict[str, Any]:
    """The same of its row."""
    status, held = row["status"], row["reason"] == "ordering"
    live = status in ("queued", "scheduled", "waiting", "running")
    return {
        "status": status, "epoch": row["epoch"], "attempt": row["attempt"], "cancel": row["cancel_requested"],
        "deaths": row["deaths"], "ends": row["ends"], "hooks": row["hooks"], "held": held,
        "due": live and not held and row["due_in_s"] <= 0, "holder": holder, "claimed": row["claimed"],
        "steps": {name: output or b"" for name, output in row["steps"]}, "expires": row["expire_in_s"] is not None,
    }  # fmt: skip


async def _plain(act: Awaitable[T]) -> T:
    return await act
