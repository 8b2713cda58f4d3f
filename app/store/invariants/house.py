"""Invariants of the tables themselves: partitions are there before they are needed."""

from __future__ import annotations

from app.store.invariants.check import Check
from app.store.partitions import PARTITIONED

_TABLES = "array[" + ", ".join(f"'{table}'" for table in PARTITIONED) + "]"
_WEEK = "date_trunc('week', now() at time zone 'utc')"

HOUSE = (
    Check(
        "partitions",
        "each partitioned table has its part for this week and the next",
        "",
        f"""select name from unnest({_TABLES}) t, generate_series(0, 1) week,
            lateral (select t || '_' || to_char({_WEEK} + week * interval '7 days', 'YYYYMMDD') as name) part
        where not exists (
            select from pg_inherits where inhparent = to_regclass(t) and inhrelid = to_regclass(part.name)
        )""",
    ),
    Check(
        "partition-rest",
        "the parts for rows that fit no week are empty",
        "",
        " union all ".join(f"(select '{table}_rest' from {table}_rest limit 1)" for table in PARTITIONED),
    ),
)
