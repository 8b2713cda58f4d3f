"""Whether a new job's budgets let it start."""

from __future__ import annotations

from datetime import datetime
from math import ceil

from app.domain import money
from app.domain.budget import Cap, Spender
from app.domain.errors import Problem
from app.domain.job import NewJob, Status
from app.gateway.budgets.budget import Budgets


async def refuse_without_means(budgets: Budgets, job: NewJob, now: datetime) -> None:
    """Raises Problem `budget_exhausted` for a job that would start now and could only wait; StoreAway.

    One that starts later is taken: its budget may have begun anew by then. So is one whose budget is to hold jobs.
    """
    if job.status is not Status.QUEUED:
        return
    spent = await budgets.spent_cap(Spender(job.project_id, job.workflow, job.key_id, job.test_mode))
    if spent is not None and not spent.hold:
        raise Problem("budget_exhausted", _told(spent), retry_after_s=_left_s(spent, now))


def _told(cap: Cap) -> str:
    return (
        f"The {cap.shown} is spent: {money.show(cap.nanos)} dollars. It begins anew at "
        f"{cap.counter.end:%Y-%m-%dT%H:%M:%SZ}; no job can start until then, or until it is raised."
    )


def _left_s(cap: Cap, now: datetime) -> int:
    return max(1, ceil((cap.counter.end - now).total_seconds()))
