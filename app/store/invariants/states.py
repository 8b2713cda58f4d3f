"""Invariants of a job's own row: its state, its reason, its owner, its clocks."""

from __future__ import annotations

from app.domain.job import REASONS
from app.store.invariants.check import ENDED, IS_UNCLAIMED, Check, lost, overdue

_LEGAL = ", ".join(
    f"('{status}', '{reason or ''}')" for status, reasons in REASONS.items() for reason in sorted(reasons, key=str)
)

STATES = (
    Check(
        "state-legal",
        "a job's state and reason are of the table of transitions",
        "job",
        f"select id from jobs where id >= $1 and (status, coalesce(reason, '')) not in ({_LEGAL})",
    ),
    Check(
        "end-explained",
        "an end has its time, and any but a success its error; what failed has its disposition",
        "job",
        f"""select id from jobs j where id >= $1 and (
            {ENDED} <> (ended_at is not null)
            or (status = 'failed') <> (disposition is not null)
            or (status in ('failed', 'canceled', 'expired') and error_code is null)
            or (status = 'succeeded' and error_code is not null)
        )""",
    ),
    Check(
        "owner",
        "what runs has an owner and a start; nothing else has, nor an order to cancel",
        "job",
        f"""select id from jobs j where id >= $1 and (
            (status = 'running') <> (worker_id is not null)
            or (status = 'running' and (claimed_at is null or started_at is null or epoch = 0))
            or ({IS_UNCLAIMED} and cancel_requested)
        )""",
    ),
    Check(
        "lease",
        "the owner of a running job lives, or has been gone for a moment only",
        "job",
        f"select id from jobs j where status = 'running' and {lost('j.worker_id', 'j.claimed_at')}",
    ),
    Check(
        "client-clock",
        "no job waits beyond its client's clock",
        "job",
        f"select id from jobs j where {IS_UNCLAIMED} and {overdue('j.expire_by')}",
    ),
)
