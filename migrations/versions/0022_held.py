"""Jobs that wait for a budget are found by whose they are, each spender by one step into the index."""

from alembic import op

revision = "0022"
down_revision = "0021"

# Rows are compared as a whole, and NULL compares with nothing: no key is a value here.
STATEMENTS = (
    """create index jobs_held on jobs (
        project_id, workflow, coalesce(key_id, '00000000-0000-0000-0000-000000000000'), test_mode, due_at
    ) where status = 'waiting' and reason = 'budget'""",
    "drop index jobs_budget",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
