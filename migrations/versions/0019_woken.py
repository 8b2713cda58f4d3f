"""A claim finds the jobs that a pool has woken: they go before those that come for the first time."""

from alembic import op

revision = "0019"
down_revision = "0018"

INDEX = """create index jobs_woken on jobs (lane, due_at, id)
where pool is not null and status in ('queued', 'scheduled', 'waiting')"""


def upgrade() -> None:
    op.execute(INDEX)
