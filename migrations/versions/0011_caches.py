"""Caches: what hits saved, which steps and jobs are answers of an earlier one, and tags in the audit."""

from alembic import op

revision = "0011"
down_revision = "0010"

STATEMENTS = (
    # Of a call that was not made, since its answer was known: what it would have cost.
    "alter table calls add column saved_nanos bigint not null default 0",
    "alter table ledger add column saved_nanos bigint not null default 0",
    "alter table steps add column cached boolean not null default false",
    # `cache_mode`: what the client said of the cache of outputs, where that binds the worker too.
    """alter table jobs
        add column cache_mode text,
        add column source_job_id uuid,
        add column source_age_s real""",
    "alter table audit add column tags text[] not null default '{}'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
