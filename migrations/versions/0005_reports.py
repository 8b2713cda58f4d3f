"""Reports: what each process says of itself every few seconds, for whoever asks an API about the whole service."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # Not logged: a crash of the database costs what is written again two seconds later.
    op.execute(
        """create unlogged table reports (
            process_id  uuid primary key,
            at          timestamptz not null default clock_timestamp(),
            metrics     bytea not null,
            facts       bytea not null
        ) with (fillfactor = 50)"""
    )
