"""Cancel and retry, for clients; and what becomes of a job whose client left."""

from __future__ import annotations

from uuid import UUID

from app.bell.ring import Ring
from app.bell.wake import Wake
from app.domain.errors import Problem
from app.domain.job import Status
from app.jobs.export import Export
from app.jobs.recover import tell
from app.jobs.submit import key_reused
from app.store.controls import Controls, Refusal
from app.store.submissions import IdempotencyKey, Outcome


class Control:
    """The verbs that clients have over a job. Each raises Problem with not_found, revision_mismatch, state_conflict."""

    def __init__(self, controls: Controls, ring: Ring, wake: Wake, export: Export) -> None:
        self._controls = controls
        self._export = export
        self._ring = ring
        self._wake = wake

    async def cancel(
        self, project_id: UUID, job_id: UUID, revision: int | None = None, *, by: UUID | None = None
    ) -> bool:
        """End the job, or signal its worker. True when it has ended, False when the signal is on its way.

        `by` is the key of the client that asked for it, for the audit.
        """
        result = await self._controls.cancel(project_id, job_id, revision, by=by)
        if isinstance(result, Refusal):
            raise _problem(result, revision)
        if isinstance(result, Status):
            if result is Status.RUNNING:
                self._wake.cancel(job_id)
                self._wake.moved([job_id])
            return result.terminal
        tell([result], self._ring, self._wake)
        self._export.ended([result])
        return True

    async def retry(
        self,
        project_id: UUID,
        job_id: UUID,
        lane: str,
        *,
        version: str | None,
        from_start: bool,
        revision: int | None,
        idempotency: IdempotencyKey | None = None,
        by: UUID | None = None,
    ) -> bool:
        """Queue an ended job again. True when the same request with this key did so before, and nothing happens now."""
        result = await self._controls.retry(
            project_id,
            job_id,
            version=version,
            from_start=from_start,
            revision=revision,
            idempotency=idempotency,
            by=by,
        )
        if isinstance(result, Refusal):
            raise _problem(result, revision)
        if result is Outcome.KEY_REUSED:
            raise key_reused()
        if result is None:
            self._wake.moved([job_id])
            self._ring.ring(lane)
        return result is not None

    async def left_behind(self, project_id: UUID, job_id: UUID, policy: str) -> None:
        """The client left before any answer: `continue`, `demote` or `cancel` the job."""
        if policy == "continue":
            return
        if policy == "cancel":
            await self.cancel(project_id, job_id)
            return
        if await self._controls.demote(job_id):
            self._wake.moved([job_id])
            self._ring.ring("bulk")

    async def abandoned(self, project_id: UUID, job_id: UUID, status: Status) -> None:
        """The default for a client without an Idempotency-Key: canceled if unstarted, else demoted."""
        await self.left_behind(project_id, job_id, "demote" if status is Status.RUNNING else "cancel")


def _problem(refusal: Refusal, revision: int | None) -> Problem:
    if refusal is Refusal.NOT_FOUND:
        return Problem("not_found", "There is no job with this id.")
    if refusal is Refusal.REVISION:
        return Problem("revision_mismatch", f"The job is not at revision {revision}: read it again.")
    return Problem("state_conflict", "Only a failed, canceled or expired job can be retried.")
