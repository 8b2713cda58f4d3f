"""Invariants of ordering keys: the lines agree with the jobs, and each has one job at its head."""

from __future__ import annotations

from app.store.invariants.check import ENDED, Check

LINES = (
    Check(
        "line-agrees",
        "the unended jobs of an ordering key, and nobody else, stand in its line",
        "job",
        f"""select coalesce(j.id, l.job_id)
        from (select * from jobs j where ordering_key is not null and not {ENDED}) j
        full join ordering_lines l on l.job_id = j.id
        where (j.project_id, j.ordering_key, j.ordering_place) is distinct from (l.project_id, l.ordering_key, l.place)
        """,
    ),
    Check(
        "line-head",
        "one job of each line may run; those behind it are held until it has ended",
        "",
        """select l.ordering_key from ordering_lines l join jobs j on j.id = l.job_id
        group by l.project_id, l.ordering_key
        having count(*) filter (where j.reason is distinct from 'ordering') <> 1""",
    ),
    Check(
        "line-held",
        "a job is held for its ordering key only, and then no claim sees it",
        "job",
        """select id from jobs j where status = 'queued' and reason = 'ordering'
            and (ordering_key is null or due_at < '9999-01-01 00:00:00+00')""",
    ),
)
