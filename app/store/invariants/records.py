"""Invariants of what is stored beside a job: payloads, attempts, steps, idempotency keys."""

from __future__ import annotations

from app.store.invariants.check import KEPT, Check

# The rows that end an attempt; parks and lost workers leave rows within one.
_ENDING = "status not in ('parked', 'lost')"

RECORDS = (
    Check(
        "payload-missing",
        "a job's input, and a success's output, are stored",
        "job",
        f"""select j.id from jobs j where j.id >= $1 and {KEPT}
            and not exists (select from payloads p where p.id = j.input_id and p.id >= $2 and p.job_id = j.id)
        union
        select j.id from jobs j where j.id >= $1 and {KEPT} and (j.status = 'succeeded' or j.output_id is not null)
            and not exists (select from payloads p where p.id = j.output_id and p.id >= $2 and p.job_id = j.id)""",
    ),
    Check(
        "payload-orphan",
        "every payload is the input or output of its job",
        "",
        """select p.id from payloads p where p.id >= $1 and not exists (
            select from jobs j where j.id = p.job_id and p.id in (j.input_id, j.output_id)
        )""",
    ),
    Check(
        "attempts",
        "ended attempts are numbered from 1 without a gap, up to the job's present one",
        "job",
        f"""select j.id from jobs j left join (
            select job_id, max(n) as highest, max(epoch) as epoch, count(*) filter (where {_ENDING}) as ended,
                count(distinct n) filter (where {_ENDING}) as numbers
            from attempts where job_id >= $1 group by job_id
        ) a on a.job_id = j.id
        where j.id >= $1 and (
            coalesce(a.ended, 0) <> j.attempt - 1 or coalesce(a.numbers, 0) <> j.attempt - 1
            or a.highest > j.attempt or a.epoch >= j.epoch
        )""",
    ),
    Check(
        "record-orphan",
        "every step, call, attempt and spawn is of a job, and of an attempt that there was",
        "job",
        """select r.job_id from (
            select job_id, attempt from steps where job_id >= $1
            union select job_id, attempt from calls where job_id >= $1 and id >= $2
            union select job_id, 1 from attempts where job_id >= $1
            union select parent_id, 1 from spawns where parent_id >= $1
        ) r where not exists (select from jobs j where j.id = r.job_id and r.attempt between 1 and j.attempt)""",
    ),
    Check(
        "key-job",
        "an idempotency key that holds points to a job, an operation, an API key or a project, if it made something",
        "",
        """select i.key from idempotency i where i.created_at > now() - interval '24 hours'
            and i.job_id is not null
            and not exists (select from jobs j where j.id = i.job_id)
            and not exists (select from operations o where o.id = i.job_id)
            and not exists (select from api_keys k where k.id = i.job_id)
            and not exists (select from projects p where p.id = i.job_id)""",
    ),
)
