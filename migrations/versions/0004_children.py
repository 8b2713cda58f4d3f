"""Children: jobs that a job started, and how many of each spawn are still open."""

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = """
-- One row for each `ctx.spawn` of a job. The ids of its children follow from its own, so that no index finds them.
create table spawns (
    id          uuid primary key,
    parent_id   uuid not null,
    name        text not null,
    key         text not null,
    digest      bytea not null,
    started     int not null default 0,
    open        int not null default 0,
    -- The parent has not read the outcomes yet.
    awaited     boolean not null default true,
    -- The parent began anew, or its step was given other inputs: these children are nobody's any more.
    retired     boolean not null default false,
    -- The parent was canceled: its children follow, `swept` of them so far.
    canceling   boolean not null default false,
    swept       int not null default 0,
    -- The parent was canceled and then retried: its canceled children start again when it comes to them.
    reviving    boolean not null default false
) with (fillfactor = 50);
create unique index spawns_step on spawns (parent_id, name, key) where not retired;
create index spawns_canceling on spawns (id) where canceling;

alter table jobs
    add column parent_id uuid,
    add column spawn_id uuid,
    add column spawn_index int;
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
