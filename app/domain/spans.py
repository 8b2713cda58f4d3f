"""Ids of a job's own spans: derived from what each is about, so that every process and the store agree on them."""

from __future__ import annotations

from uuid import UUID

from app.domain import ids


def attempt_span_id(job_id: UUID, n: int) -> str:
    """The span of the job's n-th attempt."""
    return ids.derived_span_id(job_id, f"attempt-{n}")


def step_span_id(job_id: UUID, n: int, name: str, key: str) -> str:
    """The span of a step that began in the n-th attempt; it keeps it over all its tries."""
    return ids.derived_span_id(job_id, "\x1f".join(("step", str(n), name, key)))


def wait_span_id(job_id: UUID, claims: int, name: str) -> str:
    """The span of a wait after so many claims."""
    return ids.derived_span_id(job_id, f"wait-{claims}-{name}")


def limiter_span_id(call_id: UUID) -> str:
    """The span of the wait for the limiter before a call."""
    return ids.derived_span_id(call_id, "limiter")
