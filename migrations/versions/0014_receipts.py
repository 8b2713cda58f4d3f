"""Receipts: what a job's calls cost, read from the ledger by job."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute("create index ledger_job on ledger (job_id)")
