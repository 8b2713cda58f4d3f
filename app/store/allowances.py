"""What budgets need of the database: those of keys, names of projects, what was told of them, and jobs that wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain import canonical, ids
from app.domain.budget import Cap, Limits, Spender
from app.domain.event import EventType
from app.store.database import Database
from app.store.keys import budget_of

# Keys of one line have one budget, under the id of the first. Jobs of a revoked key go on, within it.
_KEYS = """
select distinct on (coalesce(first_id, id)) coalesce(first_id, id) as id, hour_nanos, day_nanos, month_nanos
from api_keys where coalesce(hour_nanos, day_nanos, month_nanos) is not null
order by coalesce(first_id, id), api_keys.id desc
"""
_PROJECTS = "select id, name from projects where name = any($1::text[])"
_MARK = "insert into budget_marks (counter, level) values ($1, $2) on conflict do nothing returning level"
_FORGET = "delete from budget_marks where at < clock_timestamp() - interval '100 days'"
_EVENT = """
insert into events (id, project_id, job_id, type, at, revision, data)
values ($1, $2, null, $3, clock_timestamp(), 0, $4)
"""
_WAITING = "status = 'waiting' and reason = 'budget'"
# As the index `jobs_held` has them: rows are compared as a whole, and NULL compares with nothing.
_NO_KEY = "'00000000-0000-0000-0000-000000000000'"
_KEY = f"coalesce(key_id, {_NO_KEY})"
_WHOSE = ("project_id", "workflow", _KEY, "test_mode")
_NEXT = f"select project_id, workflow, {_KEY} as key, test_mode, due_at, key_id from jobs where {_WAITING}"
_LAST_FIRST = f"order by {', '.join(f'{name} desc' for name in (*_WHOSE, 'due_at'))} limit 1"
# Of each the job that is due last, one step into the index from the one before: none waits where that is due.
_HELD = f"""
with recursive held as (
    ({_NEXT} {_LAST_FIRST})
    union all
    select n.* from held h, lateral (
        {_NEXT} and ({", ".join(_WHOSE)}) < (h.project_id, h.workflow, h.key, h.test_mode) {_LAST_FIRST}
    ) n
)
select project_id, workflow, key_id, test_mode from held where due_at > clock_timestamp() limit 1000
"""
_WAKE = f"""
update jobs set due_at = clock_timestamp() where id in (
    select id from jobs where {_WAITING} and due_at > clock_timestamp() and project_id = $1 and workflow = $2
        and {_KEY} = coalesce($3::uuid, {_NO_KEY}) and test_mode = $4
    order by priority desc, id limit $5 for update skip locked
) and {_WAITING}
returning lane
"""


@dataclass(frozen=True, slots=True)
class Granted:
    """What the database says of budgets: those of keys by id, and the ids of projects by name."""

    keys: Mapping[UUID, Limits]
    projects: Mapping[str, UUID]


class Allowances:
    """The door for budgets. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def granted(self, projects: list[str]) -> Granted:
        """The budgets of all keys that have one, and the ids of these projects."""
        async with self._database.connection() as connection:
            keys = {row["id"]: Limits(budget_of(row)) for row in await connection.fetch(_KEYS)}
            named = await connection.fetch(_PROJECTS, projects) if projects else []
        return Granted(keys, {row["name"]: row["id"] for row in named})

    async def mark(self, cap: Cap, level: int, type: EventType, data: Mapping[str, Any]) -> bool:
        """Tell in the project's feed that a budget has come to `level` percent; False when it was told before."""
        counter = cap.counter
        async with self._database.transaction() as connection:
            if await connection.fetchval(_MARK, cap.name, level) is None:
                return False
            await connection.execute(_FORGET)
            body = canonical.dump(dict(data))
            await connection.execute(_EVENT, ids.uuid7(), counter.scope.project_id, str(type), body)
        return True

    async def held(self) -> list[Spender]:
        """Whose jobs wait for a budget: by project, workflow and key."""
        async with self._database.connection() as connection:
            found = await connection.fetch(_HELD)
        return [Spender(row["project_id"], row["workflow"], row["key_id"], row["test_mode"]) for row in found]

    async def wake(self, whose: Spender, most: int) -> list[str]:
        """Let up to `most` jobs that wait for a budget try again; the lane of each."""
        what = (whose.project_id, whose.workflow, whose.key_id, whose.test_mode, most)
        async with self._database.connection() as connection:
            return [row["lane"] for row in await connection.fetch(_WAKE, *what)]
