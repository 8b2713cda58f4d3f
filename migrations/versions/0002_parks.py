"""A park leaves a row among the attempts, so that a timeline knows every wait: why it was, and when it was over."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("alter table attempts add column reason text, add column due_at timestamptz")
