"""Money: the ledger tells what was reserved and saved, is read by hours, and budgets of keys; events without a job."""

from alembic import op

revision = "0012"
down_revision = "0011"

STATEMENTS = (
    # reserved - cost was released. Rows of outcome lost and found are about another call, of_call. Rows are read on
    # from a place in the order of xid.
    """alter table ledger
        add column step_key text not null default '',
        add column reserved_nanos bigint not null default 0,
        add column test_mode boolean not null default false,
        add column of_call uuid,
        add column xid xid8 not null default pg_current_xact_id()""",
    "create index ledger_project on ledger (project_id, call_id)",
    "create index ledger_xid on ledger (xid)",
    "create index ledger_lost on ledger (of_call) where of_call is not null",
    # The ledger by hours of its calls' ids: all rows before the xid in `bookkeeping` are in it, no row after.
    """create table usage_hours (
        project_id     uuid not null,
        hour           timestamptz not null,
        test_mode      boolean not null,
        workflow       text not null,
        key_id         uuid not null,
        provider       text not null,
        model          text not null,
        calls          bigint not null,
        input_tokens   bigint not null,
        output_tokens  bigint not null,
        cached_tokens  bigint not null,
        cost_nanos     bigint not null,
        saved_nanos    bigint not null,
        failed_nanos   bigint not null,
        primary key (project_id, hour, test_mode, workflow, key_id, provider, model)
    ) with (fillfactor = 80)""",
    # One row: when somebody kept the books last, how far the ledger is in usage_hours, when counters were compared.
    """create table bookkeeping (
        only_one     boolean primary key default true check (only_one),
        at           timestamptz not null default '-infinity',
        rolled       xid8 not null default '0',
        compared_at  timestamptz not null default '-infinity'
    ) with (fillfactor = 50)""",
    "insert into bookkeeping default values",
    """alter table api_keys
        add column hour_nanos bigint check (hour_nanos >= 0),
        add column day_nanos bigint check (day_nanos >= 0),
        add column month_nanos bigint check (month_nanos >= 0)""",
    # What was told of a budget: each level once in a period.
    """create table budget_marks (
        counter  text not null,
        level    smallint not null,
        at       timestamptz not null default clock_timestamp(),
        primary key (counter, level)
    )""",
    "alter table events alter column job_id drop not null",
    "create index jobs_budget on jobs (project_id, workflow, key_id) where status = 'waiting' and reason = 'budget'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
