"""What operators did to pools and breakers, as it stands: Redis is told again of what it has lost."""

from alembic import op

revision = "0020"
down_revision = "0019"

# `target`: a pool, or a breaker as jobs are parked for it; `lever`: what an act is taken back by another of.
TABLE = """create table levers (
    target text not null,
    lever text not null check (lever in ('stop', 'breaker', 'announce')),
    act text not null,
    value text not null,
    at timestamptz not null default now(),
    ends_at timestamptz,
    primary key (target, lever)
)"""


def upgrade() -> None:
    op.execute(TABLE)
