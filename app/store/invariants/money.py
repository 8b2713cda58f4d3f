"""Invariants of money: the ledger agrees with the calls, and a job's usage with the ledger."""

from __future__ import annotations

from app.store.invariants.check import KEPT, Check
from app.store.ledger import CALLS_MADE, HOUR, UNCERTAIN, ms_of

_COUNTED = ("input_tokens", "output_tokens", "cached_tokens", "cost_nanos")
_SAME = ", ".join(f"{{0}}.{name}" for name in ("job_id", "attempt", *_COUNTED))
# Rows that name another call (`of_call`) take nobody's word: they stand for calls of workers that died.
# A late call, of an owner that had lost the job, may stand in the job's usage or not; it was paid for either way.
_SUMS = ", ".join(
    f"sum({name}) as {name}, sum({name}) filter (where outcome <> 'late') as own_{name}" for name in _COUNTED
)
_BETWEEN = " and ".join(
    f"j.{name} between coalesce(l.own_{name}, 0) and coalesce(l.{name}, 0)" for name in (*_COUNTED, "calls")
)

# The hours that are looked at whole: those that begin after the first call in question.
_FIRST = f"to_timestamp(ceil({ms_of('$2::uuid')} / 3600000.0) * 3600)"

MONEY = (
    Check(
        "ledger-calls",
        "each recorded call stands in the ledger as it was; it alone has late ones, and outputs that were known",
        "",
        f"""select coalesce(c.id, l.call_id) from (select * from calls where id >= $2 and job_id >= $1) c
        full join (
            select * from ledger where call_id >= $2 and job_id >= $1 and of_call is null
        ) l on l.call_id = c.id
        where l.call_id is null
            or (c.id is not null and ({_SAME.format("c")}) is distinct from ({_SAME.format("l")}))
            or (c.id is null and l.outcome not in ('late', 'cached')
                and exists (select from jobs j where j.id = l.job_id and {KEPT}))""",
    ),
    Check(
        "usage",
        "what a job says it used is the sum of its calls in the ledger",
        "job",
        f"""select j.id from jobs j left join (
            select job_id, {_SUMS}, count(*) filter (where outcome <> 'cached') as calls,
                count(*) filter (where outcome not in ('late', 'cached')) as own_calls
            from ledger where call_id >= $2 and of_call is null group by job_id
        ) l on l.job_id = j.id
        where j.id >= $1 and j.status <> 'running' and not ({_BETWEEN})""",
    ),
    Check(
        "attempt-costs",
        "the costs of a job's attempts sum up to the job's",
        "job",
        """select j.id from jobs j left join (
            select job_id, sum(cost_nanos) as cost from attempts
            where job_id >= $1 and status not in ('parked', 'lost') group by job_id
        ) a on a.job_id = j.id
        where j.id >= $1 and j.status <> 'running' and j.cost_nanos <> coalesce(a.cost, 0) + j.attempt_cost_nanos
            and not exists (
                select from ledger l where l.job_id = j.id and l.call_id >= $2 and l.outcome = 'late'
            )""",
    ),
    Check(
        "usage-hours",
        "what usage is told from, hour by hour, is the sum of the ledger's rows",
        "",
        f"""select coalesce(h.hour, l.hour)::text from (
            select project_id, hour, sum(cost_nanos) as cost, sum(saved_nanos) as saved, sum(calls) as calls,
                sum(uncertain_nanos) as uncertain
            from usage_hours where hour >= {_FIRST} group by 1, 2
        ) h full join (
            select project_id, {HOUR} as hour, sum(cost_nanos) as cost, sum(saved_nanos) as saved,
                sum({CALLS_MADE}) as calls, sum({UNCERTAIN}) as uncertain
            from ledger where call_id >= $2 and {HOUR} >= {_FIRST} and xid < (select rolled from bookkeeping)
            group by 1, 2
        ) l on l.project_id = h.project_id and l.hour = h.hour
        where (h.cost, h.saved, h.calls, h.uncertain) is distinct from (l.cost, l.saved, l.calls, l.uncertain)""",
    ),
)
