"""A pool, models of one provider that share a limit: its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.clients.base import NO_HINTS, LimitHints
from app.gateway.pools.ending import Ending

# Statuses of calls that ended without one: no connection, no answer in time.
NO_CONNECTION, TIMED_OUT = 0, 598


@dataclass(frozen=True, slots=True)
class Pool:
    """`name` is `provider/pool` or `provider/model`; `max_in_flight` counts calls over all workers.

    The next three are what the configuration announces for a minute, and of calls at once; None: found out.
    `credential` changes with what the provider knows us by. `window`: how it counts what is announced, by a bucket that
    refills, the minute of the clock, or a sliding one.
    """

    name: str
    max_in_flight: int
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    at_once: int | None = None
    credential: str | None = None
    window: Literal["refill", "minute", "sliding"] = "refill"


@dataclass(frozen=True, slots=True)
class Lease:
    """One slot of a pool: `PROCESS:NUMBER`, and how long it is kept for a holder that never gives it back."""

    id: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Permit:
    """A lease that was granted, and the seconds that its caller waited for it.

    `probe`: it is for the one call that shows whether a provider that was down is back; `trial`: whether a pool that is
    shut takes calls again.
    """

    pool: Pool
    lease: Lease
    waited_s: float
    probe: bool = False
    trial: bool = False


@dataclass(frozen=True, slots=True)
class CallResult:
    """How a call ended, as far as the pool learns from it.

    `status` is HTTP's (429 only where it is a limit), NO_CONNECTION or TIMED_OUT; `took_s` the seconds from sent to
    ended; `used` its input and output tokens as the provider counts them, None where it didn't say; `slow`: it brought
    an answer so late that it counts as failed for the breaker; `refused`: the credential was.
    """

    status: int
    took_s: float
    used: int | None = None
    retry_after_s: float | None = None
    hints: LimitHints = NO_HINTS
    slow: bool = False
    refused: bool = False

    @property
    def good(self) -> bool:
        """Whether it brought an answer."""
        return 200 <= self.status < 300

    @property
    def ending(self) -> Ending:
        """As a breaker counts it: the rule of `settlement.lua`."""
        if self.good:
            return Ending.FAILED if self.slow else Ending.OK
        if self.status == NO_CONNECTION:
            return Ending.REFUSED
        return Ending.FAILED if self.status >= 500 else Ending.OTHER
