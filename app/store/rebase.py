"""After a restore into another cluster: its transactions are numbered on after the greatest number that is stored.

A cluster counts its transactions from its own beginning. What a dump brought along may have greater numbers: whatever
is written next would come before it, and no reader would meet it. So each row has the number of its transaction and
`bookkeeping.xid_base` more, which is 0 until numbers are found that this cluster has not come to.
"""

from __future__ import annotations

from sqlalchemy import Connection

from app.store.ledger import ADD_ALL, FORGET_ALL, ROLL_LOCK

# A row only where the greatest number that is stored is none of this cluster; for the events of each project one step
# into the index finds it.
AHEAD = """
with recursive last as (
    (select project_id, xid from events order by project_id desc, xid desc limit 1)
    union all
    select n.project_id, n.xid from last, lateral (
        select project_id, xid from events where project_id < last.project_id
        order by project_id desc, xid desc limit 1
    ) n
), stored as (
    select xid_base, pg_snapshot_xmax(pg_current_snapshot())::text::bigint + xid_base as next, greatest(
        rolled::text::bigint - 1,
        (select xid::text::bigint from ledger order by ledger.xid desc limit 1),
        (select max(xid::text::bigint) from last)
    ) as highest
    from bookkeeping
)
select xid_base, next, highest from stored where highest >= next
"""
# Whoever writes has ended, and nobody begins.
_LOCK = f"select pg_advisory_xact_lock({ROLL_LOCK})", "lock table events, ledger in access exclusive mode"
# What this cluster wrote too early; events are told apart by `seq`, which a dump brings along.
_EARLY = """
update events set xid = (xid::text::bigint + {by})::text::xid8
where xid < '{next}' and seq > (select max(seq) from events where xid >= '{next}')
"""
_NUMBERED = "alter table {table} alter column xid set default (pg_current_xact_id()::text::bigint + {base})::text::xid8"
_BASE = "update bookkeeping set xid_base = {base}, rolled = '{base}'"


def rebase(connection: Connection) -> bool:
    """Number on after what is stored, where that was not numbered here; whether it had to be done.

    Every place that a reader holds stays good. The hours of usage are added up anew, with what was written too early.
    """
    with connection.begin():
        if connection.exec_driver_sql(AHEAD).first() is None:
            return False
        for statement in _LOCK:
            connection.exec_driver_sql(statement)
        base_before, following, highest = connection.exec_driver_sql(AHEAD).one()
        base = highest + 1
        connection.exec_driver_sql(_EARLY.format(by=base - base_before, next=following))
        for table in ("events", "ledger"):
            connection.exec_driver_sql(_NUMBERED.format(table=table, base=base))
        for statement in (FORGET_ALL, ADD_ALL, _BASE.format(base=base)):
            connection.exec_driver_sql(statement)
        return True
