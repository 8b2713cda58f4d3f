"""Money: of what was used, how much nobody knows to have been charged."""

from alembic import op

revision = "0018"
down_revision = "0017"

HOUR = """to_timestamp(('x' || lpad(left(replace(call_id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint
    / 3600000 * 3600)"""
STATEMENTS = (
    "alter table usage_hours add column uncertain_nanos bigint not null default 0",
    f"""update usage_hours h set uncertain_nanos = l.nanos from (
        select project_id, {HOUR} as hour, test_mode, workflow,
            coalesce(key_id, '00000000-0000-0000-0000-000000000000') as key_id, provider, model,
            sum(cost_nanos) as nanos
        from ledger where not price_known and xid < (select rolled from bookkeeping)
        group by 1, 2, 3, 4, 5, 6, 7
    ) l where (h.project_id, h.hour, h.test_mode, h.workflow, h.key_id, h.provider, h.model)
        = (l.project_id, l.hour, l.test_mode, l.workflow, l.key_id, l.provider, l.model)""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
