"""Dead letters: an index of their own; operations, that work on many jobs in portions; what was done, for the audit."""

from alembic import op

revision = "0009"
down_revision = "0008"

STATEMENTS = (
    # Ids only: codes and step names are the authors', of any length.
    """create index jobs_dead on jobs (project_id, disposition, id)
    where status = 'failed' and disposition is not null""",
    """create table operations (
        id          uuid primary key,
        project_id  uuid not null,
        key_id      uuid,
        kind        text not null,
        -- What to do, as canonical JSON, and how many jobs that were at the start.
        wanted      bytea not null,
        total       int not null,
        -- How far it is: the jobs behind the cursor are done.
        cursor      uuid not null default '00000000-0000-0000-0000-000000000000',
        done        int not null default 0,
        portions    int not null default 0,
        status      text not null default 'running' check (status in ('running', 'completed')),
        -- Why it does not go on now.
        reason      text,
        created_at  timestamptz not null default clock_timestamp(),
        ended_at    timestamptz
    )""",
    "create index operations_running on operations (id) where status = 'running'",
    """create table audit (
        id            uuid primary key,
        at            timestamptz not null default clock_timestamp(),
        project_id    uuid not null,
        key_id        uuid,
        action        text not null,
        operation_id  uuid,
        count         int not null,
        job_ids       uuid[] not null default '{}'
    )""",
    "create index audit_project on audit (project_id, id desc)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
