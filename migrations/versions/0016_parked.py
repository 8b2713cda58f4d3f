"""Parked jobs know the pool whose turn they wait for, so that it can wake them in its own order."""

from alembic import op

revision = "0016"
down_revision = "0015"

# Null but while parked. The order is the pool's: a project's jobs of a lane by priority, then by age.
STATEMENTS = (
    "alter table jobs add column pool text",
    """create index jobs_parked on jobs (pool, lane, project_id, priority desc, id)
    where pool is not null and status in ('scheduled', 'waiting')""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
