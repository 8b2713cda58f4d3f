"""Writes new jobs: idempotency key, job, payload, event and webhook of many submits in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.domain import ids
from app.domain.event import EventType
from app.domain.job import NewJob, Status
from app.store import rows
from app.store.announce import Moved, RenderBody, announce
from app.store.coalescer import Coalescer
from app.store.database import Connection, Database


class Outcome(StrEnum):
    """What became of a submission."""

    CREATED = "created"
    REPLAYED = "replayed"
    KEY_REUSED = "key_reused"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The client's key: `scope` is method and route, `fingerprint` the digest of body and query."""

    scope: str
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Submission:
    """One validated submit. `dedupe_within_s` looks for an equal job that young; None does not look."""

    job: NewJob
    idempotency: IdempotencyKey | None = None
    dedupe_within_s: float | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job that answers the submission: the new one, or the earlier one it repeats.

    `behind`: the new one is not the first of its ordering key.
    """

    job_id: UUID
    outcome: Outcome
    behind: bool = False


_KEYS = """
insert into idempotency (project_id, scope, key, fingerprint, job_id)
select * from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::uuid[])
on conflict (project_id, scope, key) do update
    set fingerprint = excluded.fingerprint, job_id = excluded.job_id, created_at = clock_timestamp()
    where idempotency.created_at < clock_timestamp() - interval '24 hours'
returning job_id
"""
_KEY_OWNER = """
select fingerprint, job_id from idempotency where project_id = $1 and scope = $2 and key = $3
    and created_at >= clock_timestamp() - interval '24 hours 1 minute'
"""
_KEY_FOLLOWS = "update idempotency set job_id = $4 where project_id = $1 and scope = $2 and key = $3"
_LOCK_EQUAL = "select pg_advisory_xact_lock(k) from (select distinct unnest($1::bigint[]) k order by 1) locks"
_EQUAL = """
select id from jobs
where project_id = $1 and workflow = $2 and content_hash = $3 and status not in ('failed', 'canceled', 'expired')
    and created_at > clock_timestamp() - make_interval(secs => $4)
    and (ended_at is null or expires_at > clock_timestamp())
order by id desc limit 1
"""
# A job that is born with its output is submitted and has ended.
BORN_REVISION = 2
# Behind the submit stands the end; that of a job with a callback is told apart, with its webhooks.
_KNOWN = f"""returning job_id
), ended as (
    insert into events (id, project_id, job_id, type, at, revision)
    select end_event_id, project_id, id, '{EventType.JOB_SUCCEEDED}', created_at, {BORN_REVISION}
    from told join new on new.id = told.job_id where output_id is not null and not has_webhook
), saved as (
    insert into ledger (
        call_id, at, project_id, key_id, workflow, version, job_id, step, attempt, provider, model, outcome,
        input_tokens, output_tokens, cached_tokens, cost_nanos, price_known, saved_nanos, test_mode
    )
    select saving_id, created_at, project_id, key_id, workflow, version, id, '', 1, '', '', 'cached', 0, 0, 0, 0, true,
        saved_nanos, test_mode
    from new where output_id is not null
"""
_INSERT = f"""
with new as (
    select * from unnest(
        $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::text[], $9::text[],
        $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::real[], $14::real[], $15::real[],
        $16::timestamptz[], $17::timestamptz[], $18::uuid[], $19::bytea[], $20::bytea[], $21::bigint[], $22::text[],
        $23::text[], $24::text[], $25::text[], $26::text[], $27::text[], $28::bool[], $29::bool[], $30::bool[],
        $31::uuid[], $32::bool[], $33::text[], $34::text[], $35::uuid[], $36::bytea[], $37::uuid[], $38::real[],
        $39::bigint[], $40::uuid[], $41::uuid[]
    ) as n (
        id, project_id, key_id, workflow, version, lane, priority, status, reason, due_at, created_at, expires_at,
        retain_s, start_within_s, finish_within_s, finish_by, expire_by, input_id, body, content_hash, max_cost_nanos,
        trace_id, span_id, parent_span_id, on_disconnect, tags, metadata, has_webhook, test_mode, simulated, event_id,
        off_peak, ordering_key, cache_mode, output_id, output, source_job_id, source_age_s, saved_nanos,
        end_event_id, saving_id
    )
), stored as (
    insert into payloads (id, job_id, body)
    select input_id, id, body from new union all select output_id, id, output from new where output_id is not null
), told as (
    insert into events (id, project_id, job_id, type, at, revision)
    select event_id, project_id, id, 'job.submitted', created_at, 1 from new
    %s
)
insert into jobs (
    id, project_id, key_id, workflow, version, lane, priority, status, reason, due_at, created_at, expires_at,
    retain_s, start_within_s, finish_within_s, finish_by, expire_by, input_id, content_hash, max_cost_nanos,
    trace_id, span_id, parent_span_id, on_disconnect, tags, metadata, has_webhook, test_mode, simulated, off_peak,
    ordering_key, submit_reason, cache_mode, output_id, source_job_id, source_age_s, saved_nanos, ended_at, revision
)
select id, project_id, key_id, workflow, version, lane, priority, status, reason,
    case when status = 'queued' then least(due_at, clock_timestamp()) else due_at end, created_at, expires_at,
    retain_s, start_within_s, finish_within_s, finish_by, expire_by, input_id, content_hash, max_cost_nanos,
    trace_id, span_id, parent_span_id, on_disconnect, tags::jsonb, metadata::jsonb, has_webhook, test_mode, simulated,
    off_peak, ordering_key, reason, cache_mode, output_id, source_job_id, source_age_s, saved_nanos,
    case when output_id is not null then created_at end,
    case when output_id is not null then {BORN_REVISION} else 1 end
from new
"""
# In one order, so that two flushes cannot deadlock; the trigger ordering_join then finds its locks taken.
_LOCK_LINES = """
select pg_advisory_xact_lock(number) from (
    select distinct ordering_number(p, k) as number from unnest($1::uuid[], $2::text[]) as u (p, k) order by 1
) locks
"""
_BEHIND = "select id from jobs where id = any($1::uuid[]) and reason = 'ordering'"
_HOOKS = "insert into job_webhooks (job_id, url, events, secret) values ($1, $2, $3, $4)"


class Submissions:
    """The submit door of the store."""

    def __init__(self, database: Database, render: RenderBody) -> None:
        self._database = database
        self._render = render
        self._coalesce: Coalescer[Submission, Submitted] = Coalescer(self._flush)

    async def submit(self, submission: Submission) -> Submitted:
        """Store the job, durably, or find the one it repeats. Raises StoreAway: then the outcome is unknown."""
        return await self._coalesce(submission)

    async def repeated(self, project_id: UUID, key: IdempotencyKey) -> Submitted | None:
        """The job that a request with this key once made; writes nothing."""
        async with self._database.connection() as connection:
            return await owner_of(connection, project_id, key)

    async def earlier(self, submission: Submission) -> Submitted | None:
        """The job that this submission would repeat; writes nothing."""
        job, within_s = submission.job, submission.dedupe_within_s
        async with self._database.connection() as connection:
            if submission.idempotency and (owner := await owner_of(connection, job.project_id, submission.idempotency)):
                return owner
            if within_s is None or job.content_hash is None:
                return None
            found = await connection.fetchval(_EQUAL, job.project_id, job.workflow, job.content_hash, within_s)
        return Submitted(found, Outcome.DUPLICATE) if found else None

    async def _flush(self, batch: Sequence[Submission]) -> list[Submitted]:
        results: dict[UUID, Submitted] = {}
        plain = not any(map(_concerns_others, batch))
        # One statement is a transaction by itself, without the two round trips around it.
        scope = self._database.connection() if plain else self._database.transaction()
        async with scope as connection:
            await _settle_keys(connection, batch, results)
            await _settle_equals(connection, [s for s in batch if s.job.id not in results], results)
            new = [s.job for s in batch if s.job.id not in results]
            behind = await _insert(connection, new) if new else set()
            if hooked := [job for job in new if job.known is not None and job.webhook is not None]:
                await announce(connection, [born(job) for job in hooked], hooked[-1].created_at, self._render)
        return [results.get(s.job.id) or Submitted(s.job.id, Outcome.CREATED, s.job.id in behind) for s in batch]


def born(job: NewJob) -> Moved:
    """What whoever waits for ends is told of a job that was born with its output."""
    return Moved(
        job.id, job.project_id, Status.SUCCEEDED, BORN_REVISION, job.lane, job.webhook is not None,
        EventType.JOB_SUCCEEDED, workflow=job.workflow,
    )  # fmt: skip


def _concerns_others(submission: Submission) -> bool:
    """Whether it takes more than the one statement."""
    return bool(
        submission.idempotency or submission.dedupe_within_s or submission.job.ordering_key or submission.job.webhook
    )


async def _settle_keys(connection: Connection, batch: Sequence[Submission], results: dict[UUID, Submitted]) -> None:
    """Take each idempotency key, in sorted order so that two flushes cannot deadlock; losers get the winner's job."""
    keyed = [s for s in batch if s.idempotency is not None]
    if not keyed:
        return
    first = {_key_of(s): s for s in reversed(keyed)}
    columns = [(*key, s.idempotency.fingerprint, s.job.id) for key, s in sorted(first.items()) if s.idempotency]
    won = {row["job_id"] for row in await connection.fetch(_KEYS, *map(list, zip(*columns, strict=True)))}
    for submission in keyed:
        if submission.job.id not in won and submission.idempotency is not None:
            owner = await owner_of(connection, submission.job.project_id, submission.idempotency)
            if owner is None:
                raise LookupError("an idempotency key vanished while it was read")
            results[submission.job.id] = owner


async def owner_of(connection: Connection, project_id: UUID, key: IdempotencyKey) -> Submitted | None:
    """What a request under this key comes to: REPLAYED or KEY_REUSED; None: the key is new."""
    owner = await connection.fetchrow(_KEY_OWNER, project_id, key.scope, key.key)
    if owner is None:
        return None
    same = owner["fingerprint"] == key.fingerprint
    return Submitted(owner["job_id"], Outcome.REPLAYED if same else Outcome.KEY_REUSED)


async def take_key(connection: Connection, project_id: UUID, key: IdempotencyKey, job_id: UUID) -> None:
    """Bind a new key to the job, in the caller's transaction."""
    await connection.execute(_KEYS, [project_id], [key.scope], [key.key], [key.fingerprint], [job_id])


async def bind(connection: Connection, project_id: UUID, key: IdempotencyKey | None, new: UUID) -> Submitted | None:
    """Bind the key to what is made now, in the caller's transaction; what it is bound to already, and why."""
    if key is None:
        return None
    await take_key(connection, project_id, key, new)
    owner = await owner_of(connection, project_id, key)
    return owner if owner is not None and owner.job_id != new else None


def _key_of(submission: Submission) -> tuple[UUID, str, str]:
    key = submission.idempotency
    return (submission.job.project_id, key.scope if key else "", key.key if key else "")


async def _settle_equals(connection: Connection, batch: Sequence[Submission], results: dict[UUID, Submitted]) -> None:
    """Find a live or succeeded equal job for each submission that asks; a lock for each hash makes it race-free."""
    asking = [s for s in batch if s.dedupe_within_s is not None and s.job.content_hash is not None]
    if not asking:
        return
    await connection.execute(_LOCK_EQUAL, [_lock_number(s.job) for s in asking])
    fresh: dict[tuple[UUID, str, bytes | None], UUID] = {}
    for submission in asking:
        job = submission.job
        same = (job.project_id, job.workflow, job.content_hash)
        found = fresh.get(same) or await connection.fetchval(_EQUAL, *same, submission.dedupe_within_s)
        if found is None:
            fresh[same] = job.id
        else:
            results[job.id] = Submitted(found, Outcome.DUPLICATE)
            if submission.idempotency is not None:
                await connection.execute(_KEY_FOLLOWS, *_key_of(submission), found)


def _lock_number(job: NewJob) -> int:
    return int.from_bytes((job.content_hash or b"")[:8].ljust(8, b"\0"), signed=True)


async def _insert(connection: Connection, jobs: Sequence[NewJob]) -> set[UUID]:
    """Write them; those that stand behind another of their ordering key."""
    keyed = [(job.project_id, job.ordering_key) for job in jobs if job.ordering_key is not None]
    await lock_lines(connection, keyed)
    statement = _INSERT % (_KNOWN if any(job.known for job in jobs) else "")
    await connection.execute(statement, *map(list, zip(*(_columns(job) for job in jobs), strict=True)))
    hooks = [(job.id, job.webhook.url, list(job.webhook.events), job.webhook.secret) for job in jobs if job.webhook]
    if hooks:
        await connection.executemany(_HOOKS, hooks)
    found = await connection.fetch(_BEHIND, [job.id for job in jobs]) if keyed else []
    return {row["id"] for row in found}


async def lock_lines(connection: Connection, keyed: Sequence[tuple[UUID, str]]) -> None:
    """Lock the lines of these ordering keys, each with its project, before any job joins or leaves one."""
    if keyed:
        await connection.execute(_LOCK_LINES, *map(list, zip(*keyed, strict=True)))


def _columns(job: NewJob) -> tuple[object, ...]:
    start_by = job.start_by or job.finish_by
    return (
        job.id,
        job.project_id,
        job.key_id,
        job.workflow,
        job.version,
        job.lane,
        job.priority,
        str(job.status),
        str(job.reason) if job.reason else None,
        job.due_at,
        job.created_at,
        job.expires_at,
        job.retain_s,
        job.start_within_s,
        job.finish_within_s,
        job.finish_by,
        min(start_by, job.finish_by) if start_by and job.finish_by else start_by,
        ids.uuid7(),
        job.input,
        job.content_hash,
        job.max_cost_nanos,
        job.trace.trace_id,
        job.trace.span_id,
        job.trace.parent_span_id,
        job.on_disconnect,
        rows.json_text(job.tags),
        rows.json_text(job.metadata),
        job.webhook is not None,
        job.test_mode,
        job.simulated,
        ids.uuid7(),
        job.off_peak,
        job.ordering_key,
        str(job.cache_mode) if job.cache_mode else None,
        ids.uuid7() if job.known else None,
        job.known.output if job.known else None,
        job.known.source_job_id if job.known else None,
        job.known.age_s if job.known else None,
        job.known.saved_nanos if job.known else 0,
        ids.uuid7() if job.known else None,
        ids.derived_uuid7(job.id, 0) if job.known else None,
    )
