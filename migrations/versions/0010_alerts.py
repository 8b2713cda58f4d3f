"""Alerts: what was wrong with the service, from when to when; and whose turn it is to look."""

from alembic import op

revision = "0010"
down_revision = "0009"

STATEMENTS = (
    # A row begins when somebody sees it, fires when that has held for a while, resolves when it is gone for a while.
    """create table alerts (
        id           uuid primary key,
        kind         text not null,
        key          text not null,
        detail       text not null,
        since        timestamptz not null default clock_timestamp(),
        seen_at      timestamptz not null default clock_timestamp(),
        fired_at     timestamptz,
        resolved_at  timestamptz
    ) with (fillfactor = 50)""",
    "create unique index alerts_standing on alerts (key) where resolved_at is null",
    # One row: when somebody looked last.
    """create table lookouts (
        only_one  boolean primary key default true check (only_one),
        at        timestamptz not null
    ) with (fillfactor = 50)""",
    "insert into lookouts (at) values ('-infinity')",
    # What failed of late, counted without looking at what failed before.
    """create index jobs_failed_at on jobs (ended_at, disposition)
    where status = 'failed' and disposition is not null""",
    "create index deliveries_dead_at on deliveries (ended_at) where status = 'dead'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
