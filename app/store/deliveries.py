"""The webhook outbox: claim what is due, write what an attempt saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from app.domain.event import Delivery, DeliveryResult
from app.store.database import Database

# A row that a worker took is out of sight until the worker writes its result or is recovered; or, should the claim's
# answer have been lost on its way, for longer than any attempt may take.
_HOST = "coalesce(substring(url from '://([^/?#]*)'), '')"
# `first` passes over hosts that have all they may; `ranked` counts what a host would have with each of its next ones.
_CLAIM = f"""
with first as (
    select id, next_at, {_HOST} as host from deliveries
    where status in ('pending', 'failed') and next_at <= now() and {_HOST} <> all($5::text[])
    order by next_at limit 4 * $2 + 20
), ranked as (
    select id, next_at, coalesce(h.held, 0) + row_number() over (partition by host order by next_at) as place
    from first left join unnest($3::text[], $4::int[]) as h (host, held) using (host)
), due as (
    select d.id from ranked r join deliveries d on d.id = r.id
    where r.place <= $6 and d.status in ('pending', 'failed') and d.next_at <= now()
    order by r.next_at limit $2 for update of d skip locked
)
update deliveries d
set worker_id = $1, epoch = epoch + 1, next_at = now() + interval '2 minutes'
from due where d.id = due.id
returning d.id, d.epoch, d.event_id, d.job_id, d.project_id, d.type, d.url, d.secret, d.body, d.attempts, d.created_at,
    (select trace_id from jobs where id = d.job_id) as trace_id,
    (select span_id from jobs where id = d.job_id) as span_id
"""
_RESULT = """
with mine as (
    update deliveries
    set status = $3, attempts = attempts + 1, worker_id = null, next_at = $4,
        ended_at = case when $3 in ('succeeded', 'dead') then clock_timestamp() end
    where id = $1 and epoch = $2 and worker_id is not null
    returning id, attempts, job_id
), told as (
    insert into delivery_attempts (delivery_id, n, at, status_code, error, response_body, duration_ms, span_id)
    select id, (select coalesce(max(n), 0) + 1 from delivery_attempts where delivery_id = id), $5, $6, $7, $8, $9, $10
    from mine
), shown as (
    update jobs j set revision = revision + 1 from mine where j.id = mine.job_id
)
select id from mine
"""
_RECOVER = """
update deliveries d set worker_id = null, epoch = epoch + 1, next_at = clock_timestamp()
where worker_id = any($1::uuid[])
    and not exists (select 1 from workers w where w.id = d.worker_id and w.gone_at is null)
"""
_OWNED = "select id from deliveries where worker_id = $1"
_GIVE_BACK = """
update deliveries set worker_id = null, epoch = epoch + 1, next_at = clock_timestamp()
where worker_id = $1 and id = any($2::uuid[])
"""
_ORPHANED = """
select distinct d.worker_id from deliveries d left join workers w on w.id = d.worker_id
where d.worker_id is not null and (w.id is null or w.gone_at is not null)
"""
_DUE = """
select count(*) from (
    select 1 from deliveries where status in ('pending', 'failed') and next_at <= now() limit $1
) due
"""
_REDELIVER = """
update deliveries set status = 'pending', attempts = 0, next_at = clock_timestamp(), ended_at = null
where job_id = $1 and project_id = $2 and worker_id is null and status in ('succeeded', 'dead', 'failed')
returning id
"""


class Deliveries:
    """The outbox's door, for one worker process."""

    def __init__(self, database: Database, worker_id: UUID) -> None:
        self._database = database
        self._worker_id = worker_id

    async def claim(self, most: int, held: Mapping[str, int], per_host: int) -> list[Delivery]:
        """Up to `most` due deliveries, now this worker's; to no host more than `per_host` with what it has in hand."""
        full = [host for host, count in held.items() if count >= per_host]
        who = (list(held), list(held.values()), full, per_host)
        async with self._database.connection() as connection:
            return [_delivery(row) for row in await connection.fetch(_CLAIM, self._worker_id, most, *who)]

    async def due(self, most: int) -> int:
        """How many are due, counted up to `most`."""
        async with self._database.connection() as connection:
            return int(await connection.fetchval(_DUE, most))

    async def write(self, delivery: Delivery, result: DeliveryResult) -> bool:
        """Store what an attempt saw; False when the row is no longer this worker's."""
        async with self._database.connection() as connection:
            changed = await connection.fetchval(
                _RESULT,
                delivery.id,
                delivery.epoch,
                str(result.status),
                result.next_at,
                result.at,
                result.status_code,
                result.error,
                result.response_body,
                result.duration_ms,
                result.span_id,
            )
        return changed is not None

    async def recover(self, worker_ids: list[UUID]) -> None:
        """Make due again what these workers had taken."""
        async with self._database.connection() as connection:
            await connection.execute(_RECOVER, worker_ids)

    async def owned(self) -> list[UUID]:
        """The deliveries that stand under this worker's name."""
        async with self._database.connection() as connection:
            return [row["id"] for row in await connection.fetch(_OWNED, self._worker_id)]

    async def give_back(self, delivery_ids: Sequence[UUID]) -> None:
        """Make due again what stands under this worker's name and is not being sent."""
        async with self._database.connection() as connection:
            await connection.execute(_GIVE_BACK, self._worker_id, list(delivery_ids))

    async def orphaned(self) -> list[UUID]:
        """Dead processes that still hold deliveries."""
        async with self._database.connection() as connection:
            return [row["worker_id"] for row in await connection.fetch(_ORPHANED)]

    async def redeliver(self, project_id: UUID, job_id: UUID) -> int:
        """Send a job's webhooks again; how many."""
        async with self._database.connection() as connection:
            return len(await connection.fetch(_REDELIVER, job_id, project_id))


def _delivery(row: asyncpg.Record) -> Delivery:
    return Delivery(
        row["id"],
        row["epoch"],
        row["event_id"],
        row["job_id"],
        row["project_id"],
        row["type"],
        row["url"],
        row["secret"],
        row["body"],
        row["attempts"],
        row["created_at"],
        row["trace_id"],
        row["span_id"],
    )
