"""Alerts in the database: all processes look in turn, and whoever writes the row that fires is the one who tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from app.domain import ids
from app.domain.alert import Alert, AlertKind, Condition
from app.store.database import Connection, Database

# Any number that no one else locks: one process writes alerts at a time.
_LOCK = 0x1A2E3A8
# What nobody has seen for so long was not there all the time: it begins anew.
_GAP_S = 10.0
_KEPT_DAYS = 90

_TURN = """
update lookouts set at = clock_timestamp() where at < clock_timestamp() - make_interval(secs => $1) returning at
"""
_SEEN = f"""
insert into alerts (id, kind, key, detail) select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
on conflict (key) where resolved_at is null do update
set detail = excluded.detail, seen_at = excluded.seen_at, since = case
    when alerts.fired_at is null and alerts.seen_at < excluded.seen_at - make_interval(secs => {_GAP_S})
    then excluded.since else alerts.since end
"""
_FIRE = """
update alerts set fired_at = clock_timestamp()
where resolved_at is null and fired_at is null and key = any($1::text[])
    and seen_at - since >= make_interval(secs => $2)
returning *
"""
_FORGET = f"""
delete from alerts where (fired_at is null and key <> all($1::text[]))
    or resolved_at < clock_timestamp() - interval '{_KEPT_DAYS} days'
"""
_RESOLVE = """
update alerts set resolved_at = clock_timestamp()
where resolved_at is null and fired_at is not null and key <> all($1::text[])
    and seen_at < clock_timestamp() - make_interval(secs => $2)
returning *
"""
_STANDING = "select * from alerts where resolved_at is null and fired_at is not null order by fired_at, key"
# Whoever lived through it notes it; the first note counts.
_OUTAGE = """
insert into alerts (id, kind, key, detail, since, fired_at)
select $1, $2, $3, $4, clock_timestamp() - make_interval(secs => $5), clock_timestamp() - make_interval(secs => $6)
where not exists (
    select from alerts where key = $3
        and coalesce(resolved_at, 'infinity') >= clock_timestamp() - make_interval(secs => $5)
)
"""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one look made of the alerts."""

    fired: tuple[Alert, ...]
    resolved: tuple[Alert, ...]


class Alerts:
    """The door for alerts. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_turn(self, interval_s: float) -> bool:
        """Whether this process is to look now: one of all is, each `interval_s`."""
        async with self._database.connection() as connection:
            return await connection.fetchval(_TURN, interval_s) is not None

    async def record(self, conditions: Sequence[Condition], hold_s: float, clear_s: float) -> Changes:
        """Write what is wrong now: it fires once it has held for `hold_s`, and resolves once it is gone for `clear_s`.

        Each change is returned to one caller, in whichever process.
        """
        keys = [one.key for one in conditions]
        async with self._database.transaction() as connection:
            await _lock(connection)
            if conditions:
                columns = [(ids.uuid7(), str(one.kind), one.key, one.detail) for one in conditions]
                await connection.execute(_SEEN, *map(list, zip(*columns, strict=True)))
            await connection.execute(_FORGET, keys)
            fired = await connection.fetch(_FIRE, keys, hold_s)
            resolved = await connection.fetch(_RESOLVE, keys, clear_s)
        return Changes(tuple(map(_alert, fired)), tuple(map(_alert, resolved)))

    async def note_outage(self, condition: Condition, began_s: float, fired_s: float) -> None:
        """Write what nobody could write while it was: it began and fired so many seconds ago, and is over."""
        async with self._database.transaction() as connection:
            await _lock(connection)
            what = (ids.uuid7(), str(condition.kind), condition.key, condition.detail)
            await connection.execute(_OUTAGE, *what, began_s, fired_s)

    async def standing(self) -> list[Alert]:
        """Those that have fired and not resolved, oldest first."""
        async with self._database.connection() as connection:
            return [_alert(row) for row in await connection.fetch(_STANDING)]


async def _lock(connection: Connection) -> None:
    await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)


def _alert(row: asyncpg.Record) -> Alert:
    return Alert(
        row["id"],
        AlertKind(row["kind"]),
        row["key"],
        row["detail"],
        row["since"],
        row["fired_at"],
        row["resolved_at"],
    )
