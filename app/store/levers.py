"""The levers that operators have moved, as they stand; Redis, where they work, may lose them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from app.store.audits import Act, note
from app.store.database import Connection, Database

Value = float | str | Mapping[str, int] | None
# Which acts take each other's place.
_LEVERS = {"pause": "stop", "drain": "stop", "resume": "stop", "breaker": "breaker", "announce": "announce"}
_MOVE = """
insert into levers (target, lever, act, value, ends_at)
values ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))
on conflict (target, lever) do update set act = excluded.act, value = excluded.value, ends_at = excluded.ends_at,
    at = now()
"""
_TAKE_BACK = "delete from levers where target = $1 and lever = $2"
# What stops calls comes first.
_OF = """
select act, value, extract(epoch from ends_at - clock_timestamp())::float8 as left_s from levers
where target = $1 and (ends_at is null or ends_at > clock_timestamp()) order by lever desc
"""
_TARGETS = "select distinct target from levers where starts_with(target, $1) order by 1"


@dataclass(frozen=True, slots=True)
class Lever:
    """One that stands: the act and its value; of a pause the seconds that are left, None for no end."""

    act: str
    value: Value


class KeptLevers:
    """The door. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def move(self, target: str, act: str, value: Value, noted: Act | None = None) -> None:
        """An act upon the target, and its line in the audit. An act that leaves nothing standing is told as any."""
        async with self._database.transaction() as connection:
            if act in _LEVERS:
                await _move(connection, target, act, value)
            if noted is not None:
                await note(connection, noted)

    async def of(self, target: str) -> list[Lever]:
        """What stands now, what stops calls first."""
        async with self._database.connection() as connection:
            found = await connection.fetch(_OF, target)
        return [Lever(row["act"], _value(row["act"], row["value"], row["left_s"])) for row in found]

    async def targets(self, beginning: str = "") -> list[str]:
        """Those upon which any lever was left, whose names begin so."""
        async with self._database.connection() as connection:
            return [row["target"] for row in await connection.fetch(_TARGETS, beginning)]


async def _move(connection: Connection, target: str, act: str, value: Value) -> None:
    if act == "resume" or value in ("auto", {}):
        await connection.execute(_TAKE_BACK, target, _LEVERS[act])
        return
    seconds = value if act == "pause" and isinstance(value, float | int) else None
    await connection.execute(_MOVE, target, _LEVERS[act], act, orjson.dumps(value).decode(), seconds)


def _value(act: str, value: str, left_s: float | None) -> Value:
    if act == "pause":
        return left_s
    found: Value = orjson.loads(value)
    return found
