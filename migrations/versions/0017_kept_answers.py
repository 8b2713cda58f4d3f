"""Idempotency keys of requests that make nothing in the database: their answer is kept instead."""

from alembic import op

revision = "0017"
down_revision = "0016"

STATEMENTS = (
    # Null: the request made nothing that has an id.
    "alter table idempotency alter column job_id drop not null",
    # Null: what was made is read anew; or the request has not been answered yet.
    "alter table idempotency add column answer bytea",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
