"""Tenants' virtual times: what each project has had of a lane, charged at claim, corrected when the run is over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from app.domain.clock import SYSTEM_CLOCK
from app.store.database import Database, StoreAway

# The id under which a lane's own time stands: the time at which a project that was idle joins the others.
LANE = UUID(int=0)
# Slot-seconds of a workflow of which nothing is known yet.
_UNKNOWN_S = 1.0
# What a start costs at least: claim and settle are work too.
_LEAST_S = 0.1
# The weight of a new run in a workflow's average.
_NEW = 0.2

# A charge that a crash of the database loses is only a little unfairness, so nobody waits for the disk.
_CHARGE = """
with given as (
    select * from unnest($1::text[], $2::uuid[], $3::float8[], $4::float8[]) as g (lane, project_id, floor, charge)
    where set_config('synchronous_commit', 'off', true) = 'off'
)
insert into tenants as t (lane, project_id, virtual_time)
select lane, project_id, floor + charge from given order by lane, project_id
on conflict (lane, project_id) do update set virtual_time = (
    select greatest(t.virtual_time, g.floor) + g.charge from given g
    where g.lane = excluded.lane and g.project_id = excluded.project_id
)
"""


@dataclass(slots=True)
class _Charge:
    """Added to a virtual time, after that was raised to `floor`."""

    floor: float = 0.0
    charge: float = 0.0


@dataclass(frozen=True, slots=True)
class _Running:
    """A claimed job: what was charged for it, None in a lane without rivals."""

    lane: str
    project_id: UUID
    workflow: str
    charged: float | None
    since: float


class Tenants:
    """The accounts of one worker process: it knows what workflows cost from its own runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._costs: dict[str, float] = {}
        self._running: dict[UUID, _Running] = {}
        self._unwritten: dict[tuple[str, UUID], _Charge] = {}
        self._writing: asyncio.Task[None] | None = None

    def costs(self) -> tuple[list[str], list[float], float]:
        """Known workflows, slot-seconds of a claim of each, and what to take for an unknown one."""
        known = list(self._costs.values())
        return list(self._costs), known, sum(known) / len(known) if known else _UNKNOWN_S

    def claimed(self, rows: Sequence[asyncpg.Record]) -> None:
        """Charge for claims: rows of `own_time` (the project's virtual time), `lane_time`, `cost` and `contested`."""
        for row in rows:
            charged = row["cost"] if row["contested"] else None
            self._running[row["id"]] = _Running(
                row["lane"], row["project_id"], row["workflow"], charged, SYSTEM_CLOCK.monotonic()
            )
            if charged is not None:
                self._add(row["lane"], row["project_id"], charged, floor=row["own_time"])
                self._add(row["lane"], LANE, 0.0, floor=row["lane_time"])
        if self._unwritten and self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    def let_go(self, job_id: UUID) -> None:
        """The run is over: learn what it took, and correct its charge, which goes out with the next one."""
        run = self._running.pop(job_id, None)
        if run is None:
            return
        took = max(_LEAST_S, SYSTEM_CLOCK.monotonic() - run.since)
        known = self._costs.get(run.workflow, took)
        self._costs[run.workflow] = known + (took - known) * _NEW
        if run.charged is not None:
            self._add(run.lane, run.project_id, took - run.charged)

    async def written(self) -> None:
        """Return once no charge is on its way."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

    def _add(self, lane: str, project_id: UUID, charge: float, floor: float = 0.0) -> None:
        entry = self._unwritten.setdefault((lane, project_id), _Charge())
        entry.floor = max(entry.floor, floor)
        entry.charge += charge

    async def _write(self) -> None:
        try:
            while self._unwritten:
                given, self._unwritten = self._unwritten, {}
                columns = [(*whose, one.floor, one.charge) for whose, one in given.items()]
                async with self._database.connection() as connection:
                    await connection.execute(_CHARGE, *map(list, zip(*columns, strict=True)))
        except StoreAway:
            # Nobody waits for a charge; the next ones make it good.
            return
        finally:
            self._writing = None
