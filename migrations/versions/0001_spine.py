"""The spine: keys, workers, jobs, payloads, steps, calls, ledger, events, webhooks."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
create table projects (
    id          uuid primary key,
    name        text not null unique,
    created_at  timestamptz not null default clock_timestamp()
);

create table api_keys (
    id          uuid primary key,
    project_id  uuid not null references projects,
    name        text not null,
    prefix      text not null,
    digest      bytea not null unique,
    scopes      text[] not null,
    workflows   text[],
    mode        text not null check (mode in ('live', 'test')),
    created_at  timestamptz not null default clock_timestamp(),
    expires_at  timestamptz,
    revoked_at  timestamptz
);

create table workers (
    id          uuid primary key,
    role        text not null,
    host        text not null,
    pid         int not null,
    lanes       text[] not null,
    lease_s     real not null,
    started_at  timestamptz not null default clock_timestamp(),
    beat_at     timestamptz not null default clock_timestamp(),
    gone_at     timestamptz
);

-- Narrow and updated in place: payloads, steps and calls live apart.
create table jobs (
    id                  uuid primary key,
    project_id          uuid not null,
    key_id              uuid,
    workflow            text not null,
    version             text not null,
    lane                text not null,
    priority            smallint not null,
    status              text not null,
    reason              text,
    epoch               int not null default 0,
    revision            int not null default 1,
    attempt             int not null default 1,
    worker_id           uuid,
    cancel_requested    boolean not null default false,
    has_webhook         boolean not null default false,
    test_mode           boolean not null default false,
    simulated           boolean not null default false,
    due_at              timestamptz not null,
    created_at          timestamptz not null,
    started_at          timestamptz,
    claimed_at          timestamptz,
    ended_at            timestamptz,
    expires_at          timestamptz not null,
    retain_s            real not null,
    -- The client's clocks; expire_by is the next of them for an unclaimed job.
    start_within_s      real,
    finish_within_s     real,
    finish_by           timestamptz,
    expire_by           timestamptz,
    input_id            uuid not null,
    output_id           uuid,
    error_class         text,
    error_code          text,
    error_detail        text,
    error_step          text,
    disposition         text,
    degraded            bytea,
    progress_percent    smallint,
    progress_step       text,
    deaths              timestamptz[],
    content_hash        bytea,
    max_cost_nanos      bigint,
    input_tokens        bigint not null default 0,
    output_tokens       bigint not null default 0,
    cached_tokens       bigint not null default 0,
    calls               int not null default 0,
    cost_nanos          bigint not null default 0,
    saved_nanos         bigint not null default 0,
    attempt_cost_nanos  bigint not null default 0,
    trace_id            text not null,
    span_id             text not null,
    parent_span_id      text,
    on_disconnect       text,
    tags                jsonb not null,
    metadata            jsonb not null
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02,
        autovacuum_vacuum_cost_delay = 0);

create index jobs_claim on jobs (lane, priority desc, due_at, id) where status in ('queued', 'scheduled', 'waiting');
create index jobs_running on jobs (worker_id) where status = 'running';
create index jobs_clock on jobs (expire_by)
    where expire_by is not null and status in ('queued', 'scheduled', 'waiting');
create index jobs_list on jobs (project_id, id desc);
create index jobs_equal on jobs (project_id, workflow, content_hash) where content_hash is not null;

-- One row for each ended attempt that was not the last; the job's own row is its current attempt.
create table attempts (
    job_id          uuid not null,
    n               int not null,
    epoch           int not null,
    status          text not null,
    error_class     text,
    error_code      text,
    error_detail    text,
    error_step      text,
    cost_nanos      bigint not null,
    started_at      timestamptz,
    ended_at        timestamptz not null,
    primary key (job_id, epoch)
);

-- Canonical JSON bytes, never jsonb, which refuses NUL and lone surrogates.
create table payloads (
    id      uuid primary key,
    job_id  uuid not null,
    body    bytea not null
) partition by range (id);

create table steps (
    job_id       uuid not null,
    name         text not null,
    key          text not null,
    kind         text not null,
    status       text not null,
    tries        int not null,
    args_digest  bytea not null,
    output       bytea,
    error_class  text,
    error_code   text,
    error_detail text,
    started_at   timestamptz not null,
    ended_at     timestamptz not null,
    attempt      int not null,
    span_id      text not null,
    primary key (job_id, name, key)
) partition by range (job_id);

create table calls (
    id              uuid not null,
    job_id          uuid not null,
    step            text not null,
    step_key        text not null,
    step_span_id    text not null,
    attempt         int not null,
    provider        text not null,
    model           text not null,
    pool            text not null,
    outcome         text not null,
    error_code      text,
    http_status     int,
    input_tokens    int not null,
    output_tokens   int not null,
    cached_tokens   int not null,
    cost_nanos      bigint not null,
    limiter_wait_s  real not null,
    started_at      timestamptz not null,
    ended_at        timestamptz not null,
    span_id         text not null,
    request         bytea,
    answer          bytea,
    primary key (id)
) partition by range (id);
create index calls_job on calls (job_id);

-- Money, append-only, never fenced: a late call was paid for.
create table ledger (
    call_id        uuid primary key,
    at             timestamptz not null,
    project_id     uuid not null,
    key_id         uuid,
    workflow       text not null,
    version        text not null,
    job_id         uuid not null,
    step           text not null,
    attempt        int not null,
    provider       text not null,
    model          text not null,
    outcome        text not null,
    input_tokens   int not null,
    output_tokens  int not null,
    cached_tokens  int not null,
    cost_nanos     bigint not null,
    price_known    boolean not null
);

create sequence events_seq;
create table events (
    id          uuid not null,
    xid         xid8 not null default pg_current_xact_id(),
    seq         bigint not null default nextval('events_seq'),
    project_id  uuid not null,
    job_id      uuid not null,
    type        text not null,
    at          timestamptz not null,
    revision    int not null,
    data        bytea,
    primary key (id)
) partition by range (id);
create index events_job on events (job_id, seq);

create table job_webhooks (
    job_id  uuid primary key,
    url     text not null,
    events  text[] not null,
    secret  text not null
);

-- The outbox: written with the state it tells of.
create table deliveries (
    id          uuid primary key,
    event_id    uuid not null,
    job_id      uuid not null,
    project_id  uuid not null,
    type        text not null,
    url         text not null,
    secret      text not null,
    body        bytea not null,
    status      text not null default 'pending',
    attempts    int not null default 0,
    next_at     timestamptz,
    worker_id   uuid,
    epoch       int not null default 0,
    created_at  timestamptz not null default clock_timestamp(),
    ended_at    timestamptz
);
create index deliveries_due on deliveries (next_at) where status in ('pending', 'failed');
create index deliveries_job on deliveries (job_id);
create index deliveries_sending on deliveries (worker_id) where worker_id is not null;

create table delivery_attempts (
    delivery_id    uuid not null,
    n              int not null,
    at             timestamptz not null,
    status_code    int,
    error          text,
    response_body  bytea,
    duration_ms    int not null,
    span_id        text not null,
    primary key (delivery_id, n)
);

create table idempotency (
    project_id   uuid not null,
    scope        text not null,
    key          text not null,
    fingerprint  bytea not null,
    job_id       uuid not null,
    created_at   timestamptz not null default clock_timestamp(),
    primary key (project_id, scope, key)
);
create index idempotency_age on idempotency (created_at);
"""

PARTITIONED = ("payloads", "steps", "calls", "events")


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    for table in PARTITIONED:
        op.execute(f"create table {table}_rest partition of {table} default")
