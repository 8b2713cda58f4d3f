"""Parked jobs are found by workflow, so that those of one that is paused are passed over at once."""

from alembic import op

revision = "0023"
down_revision = "0022"

STATEMENTS = (
    "drop index jobs_parked",
    """create index jobs_parked on jobs (pool, lane, project_id, workflow, priority desc, id)
    where pool is not null and status in ('scheduled', 'waiting')""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
