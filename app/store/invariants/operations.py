"""Invariants of operations: the audit names every job that one acted on, and none of them twice."""

from __future__ import annotations

from app.store.invariants.check import Check

OPERATIONS = (
    Check(
        "operation-audit",
        "an operation has done what the audit of its portions says, and has an end if it is completed",
        "op",
        """select o.id from operations o cross join lateral (
            select count(*) as portions, coalesce(sum(a.count), 0) as count,
                coalesce(sum(cardinality(a.job_ids)), 0) as jobs
            from audit a where a.project_id = o.project_id and a.operation_id = o.id and a.action = 'jobs.replayed'
        ) told
        where o.done not between 0 and o.total or told.count <> o.done or told.jobs <> o.done
            or told.portions > o.portions or (o.status = 'completed') <> (o.ended_at is not null)""",
    ),
    Check(
        "replay-once",
        "no job is replayed twice by one operation",
        "job",
        """select job_id from audit a, unnest(a.job_ids) job_id
        where a.action = 'jobs.replayed' and job_id >= $1 group by a.operation_id, job_id having count(*) > 1""",
    ),
)
