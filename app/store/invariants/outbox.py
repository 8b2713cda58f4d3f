"""Invariants of webhooks: every event that a callback wants has one delivery, and none is forgotten."""

from __future__ import annotations

from app.store.invariants.check import KEPT, Check, lost, overdue

_OPEN = "d.status in ('pending', 'failed')"
# Longer than a slow receiver's whole share may take to come to a delivery's turn.
_FORGOTTEN_S = "3600"

OUTBOX = (
    Check(
        "hook-known",
        "a job has a callback where it says so",
        "job",
        """select j.id from jobs j left join job_webhooks w on w.job_id = j.id
        where j.id >= $1 and j.has_webhook <> (w.job_id is not null)""",
    ),
    Check(
        "delivery-missing",
        "every event that a callback wants has its delivery",
        "evt",
        f"""select e.id from job_webhooks w join events e on e.job_id = w.job_id and e.type = any(w.events)
            join jobs j on j.id = w.job_id
        where w.job_id >= $1 and e.id >= $2 and {KEPT} and not exists (
            select from deliveries d where d.job_id = e.job_id and d.event_id = e.id
        )""",
    ),
    Check(
        "delivery-once",
        "a delivery is the only one of its event, and tells of a job that there is",
        "dlv",
        f"""select d.id from (
            select *, count(*) over (partition by event_id) as of_event from deliveries where id >= $1
        ) d left join jobs j on j.id = d.job_id
        where d.of_event > 1 or j.id is null
            or ({KEPT} and not exists (select from events e where e.id = d.event_id and e.job_id = d.job_id))""",
    ),
    Check(
        "delivery-state",
        "an open delivery has its time, an ended one its end and no owner; its tries are counted",
        "dlv",
        f"""select d.id from deliveries d left join (
            select delivery_id, count(*) as tries, max(n) as last from delivery_attempts
            where delivery_id >= $1 group by delivery_id
        ) t on t.delivery_id = d.id
        where d.id >= $1 and (
            d.status not in ('pending', 'failed', 'succeeded', 'dead')
            or {_OPEN} <> (d.next_at is not null) or {_OPEN} <> (d.ended_at is null)
            or (d.worker_id is not null and not {_OPEN})
            or d.attempts > coalesce(t.tries, 0) or t.tries <> t.last
        )""",
    ),
    Check(
        "delivery-forgotten",
        "no delivery has been due for an hour",
        "dlv",
        f"select d.id from deliveries d where {_OPEN} and {overdue('d.next_at', _FORGOTTEN_S)}",
    ),
    Check(
        "delivery-lease",
        "the owner of a delivery lives, or has been gone for a moment only",
        "dlv",
        # A claim sets `next_at` two minutes on; the two together say when it was.
        f"""select d.id from deliveries d where d.worker_id is not null
            and {lost("d.worker_id", "d.next_at - interval '2 minutes'")}""",
    ),
)
