"""The feed: a project's events in an order in which nothing is skipped."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("create index events_feed on events (project_id, xid, seq)")
