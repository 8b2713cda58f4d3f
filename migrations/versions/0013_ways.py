"""Ways: how a step came to its answer; jobs that succeeded without some of their steps, to be tried again."""

from alembic import op

revision = "0013"
down_revision = "0012"

STATEMENTS = (
    "alter table steps add column via text",
    # `epoch`: under which a worker mends the job now, or did last; `due_at` is then when another one may.
    """create table mends (
        job_id  uuid primary key,
        due_at  timestamptz not null,
        tries   smallint not null default 0,
        epoch   int not null default 0
    ) with (fillfactor = 80)""",
    "create index mends_due on mends (due_at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
