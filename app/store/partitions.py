"""Weekly partitions: ids are UUIDv7, so a range of ids is a range of time, and retention drops whole tables."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK
from app.store.database import Database

PARTITIONED = ("payloads", "steps", "calls", "events")
_WEEKS_AHEAD = 4


async def ensure_partitions(database: Database) -> None:
    """Create this week's partition and those of the next four weeks where they are missing."""
    today = SYSTEM_CLOCK.now().date()
    monday = today - timedelta(days=today.weekday())
    async with database.connection() as connection:
        for week in range(_WEEKS_AHEAD + 1):
            start = monday + timedelta(weeks=week)
            for table in PARTITIONED:
                await connection.execute(_statement(table, start))


def _statement(table: str, start: date) -> str:
    low, high = _floor(start), _floor(start + timedelta(weeks=1))
    name = f"{table}_{start:%Y%m%d}"
    return f"create table if not exists {name} partition of {table} for values from ('{low}') to ('{high}')"


def _floor(day: date) -> str:
    moment = datetime.combine(day, time(), UTC)
    return str(ids.uuid7_floor(int(moment.timestamp() * 1000)))
