"""A pool: models of one provider that share a limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pool:
    """`name` is `provider/pool` or `provider/model`; `max_in_flight` counts calls over all workers."""

    name: str
    max_in_flight: int


@dataclass(frozen=True, slots=True)
class Lease:
    """One slot of a pool: `PROCESS:NUMBER`, and how long it is kept for a holder that never gives it back."""

    id: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Permit:
    """A lease that was granted, and the seconds that its caller waited for it."""

    pool: Pool
    lease: Lease
    waited_s: float
