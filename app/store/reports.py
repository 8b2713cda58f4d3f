"""Reports: what each process says of itself, metrics and facts, for the whole service's picture."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from app.store.database import Database

# The last words of a process that is gone stay readable for this long, so that a scrape still sees them.
_ECHO_S = 60


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """A process as it stands in the database; `facts` are its own words."""

    id: UUID
    role: str
    host: str
    pid: int
    lanes: tuple[str, ...]
    started_at: datetime
    beat_age_s: float
    alive: bool
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Texts:
    """Prometheus texts: of processes that live, and of those that ended a moment ago."""

    alive: list[bytes]
    gone: list[bytes]


_WRITE = """
insert into reports (process_id, metrics, facts) values ($1, $2, $3)
on conflict (process_id) do update set at = excluded.at, metrics = excluded.metrics, facts = excluded.facts
"""
_FORGET = f"""
delete from reports r where r.at < clock_timestamp() - interval '{_ECHO_S} s'
    and not exists (select from workers w where w.id = r.process_id and w.gone_at is null)
"""
_PROCESSES = f"""
select w.id, w.role, w.host, w.pid, w.lanes, w.started_at, w.gone_at is null as alive, r.facts,
    extract(epoch from clock_timestamp() - w.beat_at)::float8 as beat_age_s
from workers w left join reports r on r.process_id = w.id
where w.gone_at is null or w.gone_at > clock_timestamp() - interval '{_ECHO_S} s'
order by w.started_at, w.id
"""
_TEXTS = f"""
select w.gone_at is null as alive, r.metrics from workers w join reports r on r.process_id = w.id
where w.gone_at is null or w.gone_at > clock_timestamp() - interval '{_ECHO_S} s'
order by w.started_at, w.id
"""


class Reports:
    """The door for what processes say of themselves. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, process_id: UUID, metrics: bytes, facts: dict[str, Any]) -> None:
        """Replace the report of a process."""
        async with self._database.connection() as connection:
            await connection.execute(_WRITE, process_id, zlib.compress(metrics, 1), orjson.dumps(facts))

    async def forget_old(self) -> None:
        """Delete the reports of processes that are gone."""
        async with self._database.connection() as connection:
            await connection.execute(_FORGET)

    async def processes(self) -> list[ProcessRow]:
        """Every process that lives, and those that ended within the last minute."""
        async with self._database.connection() as connection:
            found = await connection.fetch(_PROCESSES)
        return [
            ProcessRow(
                row["id"],
                row["role"],
                row["host"],
                row["pid"],
                tuple(row["lanes"]),
                row["started_at"],
                row["beat_age_s"],
                row["alive"],
                orjson.loads(row["facts"]) if row["facts"] else {},
            )
            for row in found
        ]

    async def texts(self) -> Texts:
        """What the same processes reported of their metrics."""
        async with self._database.connection() as connection:
            found = await connection.fetch(_TEXTS)
        texts = Texts([], [])
        for row in found:
            (texts.alive if row["alive"] else texts.gone).append(zlib.decompress(row["metrics"]))
        return texts
