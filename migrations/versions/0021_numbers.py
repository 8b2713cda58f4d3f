"""The ledger and events are numbered on in another cluster: what is added there to the numbers of transactions."""

from alembic import op

revision = "0021"
down_revision = "0020"

COLUMN = "alter table bookkeeping add column xid_base bigint not null default 0"


def upgrade() -> None:
    op.execute(COLUMN)
