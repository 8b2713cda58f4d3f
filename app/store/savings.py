"""The ledger's rows of outputs that were known when their jobs were to run: nothing was paid, and this was saved."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK
from app.domain.job import Claimed
from app.store.database import Connection

_INSERT = """
insert into ledger (
    call_id, at, project_id, key_id, workflow, version, job_id, step, attempt, provider, model, outcome, input_tokens,
    output_tokens, cached_tokens, cost_nanos, price_known, saved_nanos, test_mode
)
values ($1, $2, $3, $4, $5, $6, $7, '', $8, '', '', 'cached', 0, 0, 0, 0, true, $9, $10)
on conflict (call_id) do nothing
"""


async def book_savings(connection: Connection, jobs: Sequence[tuple[Claimed, int]]) -> None:
    """A row for each job, with the nano-dollars that its known output saved; in the caller's transaction."""
    if jobs:
        await connection.executemany(_INSERT, [_row(job, saved_nanos) for job, saved_nanos in jobs])


def _row(job: Claimed, saved_nanos: int) -> tuple[object, ...]:
    return (
        ids.derived_uuid7(job.id, 0),
        SYSTEM_CLOCK.now(),
        job.project_id,
        job.key_id,
        job.workflow,
        job.version,
        job.id,
        job.attempt,
        saved_nanos,
        job.test_mode,
    )
