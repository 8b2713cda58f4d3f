"""Invariants of events: each life of a job begins and ends once, and is told in order."""

from __future__ import annotations

from app.domain.event import END_EVENTS, EventType
from app.store.invariants.check import ENDED, KEPT, Check, one_of

_ENDS = one_of(END_EVENTS)

EVENTS = (
    Check(
        "one-end",
        "each ended life of a job has one end event, an unended one none",
        "job",
        f"""select j.id from jobs j left join (
            select job_id, count(*) filter (where type in {_ENDS}) as ends,
                count(*) filter (where type = '{EventType.JOB_RETRIED}') as retries
            from events where id >= $2 group by job_id
        ) e on e.job_id = j.id
        where j.id >= $1 and {KEPT}
            and coalesce(e.ends, 0) - coalesce(e.retries, 0) <> case when {ENDED} then 1 else 0 end""",
    ),
    Check(
        "end-told",
        "an ended job has the event of its state",
        "job",
        f"""select j.id from jobs j where j.id >= $1 and {ENDED} and {KEPT} and not exists (
            select from events e where e.job_id = j.id and e.id >= $2 and e.type = 'job.' || j.status
        )""",
    ),
    Check(
        "start-told",
        "a job has one event of its submit, and of its first start; a webhook's comes a moment later",
        "job",
        f"""select j.id from jobs j left join (
            select job_id, count(*) filter (where type = '{EventType.JOB_SUBMITTED}') as submits,
                count(*) filter (where type = '{EventType.JOB_STARTED}') as starts
            from events where id >= $2 group by job_id
        ) e on e.job_id = j.id
        where j.id >= $1 and {KEPT} and (
            e.submits is distinct from 1 or e.starts > 1
            or (e.starts = 0 and j.started_at is not null and not j.has_webhook)
        )""",
    ),
    Check(
        "event-order",
        "revisions rise from event to event of a job, and none is beyond the job's",
        "job",
        """select distinct job_id from (
            select job_id, revision, lag(revision) over (partition by job_id order by seq) as earlier
            from events where id >= $2 and job_id is not null
        ) e where revision <= earlier
        union
        select j.id from events e join jobs j on j.id = e.job_id where j.id >= $1 and e.revision > j.revision""",
    ),
    Check(
        "event-orphan",
        "every event is of a job, or of a budget",
        "evt",
        """select e.id from events e where e.id >= $1
            and case when e.job_id is null then e.type not like 'budget.%'
            else not exists (select from jobs j where j.id = e.job_id) end""",
    ),
)
