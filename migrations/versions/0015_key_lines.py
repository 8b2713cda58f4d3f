"""Keys: a rotated one belongs to the line of its first; projects know from where they were made."""

from alembic import op

revision = "0015"
down_revision = "0014"

STATEMENTS = (
    # Null: it is the first of its line. Jobs, usage and budgets go by the first.
    "alter table api_keys add column first_id uuid",
    "create index api_keys_line on api_keys (coalesce(first_id, id))",
    "create index api_keys_page on api_keys (project_id, id)",
    # The project whose key made it, which administrates it.
    "alter table projects add column parent_id uuid references projects",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
