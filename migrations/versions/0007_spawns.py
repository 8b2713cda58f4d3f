"""Spawns that are over are found without a look at the others."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("create index spawns_over on spawns (id) where retired or not awaited")
