"""What steps name breakers for: a part outside, of one project and mode; and what is known of its breaker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

_PARK = "breaker:"


@dataclass(frozen=True, slots=True)
class Dependency:
    """What a breaker stands before: projects, and live and test mode, know nothing of each other's."""

    project_id: UUID
    test_mode: bool
    name: str

    @property
    def key(self) -> str:
        """Its key in Redis, without the prefix."""
        return f"{{{self.project_id.hex}}}:{_mode(self.test_mode)}:{self.name}"

    @property
    def names_key(self) -> str:
        """The key under which its name stands with those of the same project and mode; they share a hash tag."""
        return f"{{{self.project_id.hex}}}:names:{_mode(self.test_mode)}"

    @property
    def park(self) -> str:
        """Under which name jobs are parked that wait for it."""
        return _PARK + self.key


@dataclass(frozen=True, slots=True)
class Pass:
    """A call may go. `sent` is the time by the breaker's clock, None where it was not Redis that let it go."""

    probe: bool
    sent: str | None


@dataclass(frozen=True, slots=True)
class BreakerLook:
    """A breaker: `closed`, `open` or `half_open`, since when (None: it has never been anything else), when the next
    probe may go (None: none is waited for), whether it is forced by hand, and which part of all calls goes.
    """

    name: str
    state: str
    since: datetime | None
    next_probe_at: datetime | None
    forced: bool
    share: float


def is_park(name: str) -> bool:
    """Whether jobs that are parked under this name wait for a named part, not for a pool."""
    return name.startswith(_PARK)


def parked_for(park: str) -> Dependency:
    """The one whose `park` it is."""
    project, mode, name = park.removeprefix(_PARK).split(":", 2)
    return Dependency(UUID(hex=project.strip("{}")), mode == _mode(True), name)


def read_look(name: str, answer: Sequence[Any], now: datetime) -> BreakerLook:
    """What the script says of it."""
    state, since, probe_ms, forced, share = answer
    return BreakerLook(
        name,
        state.decode(),
        datetime.fromtimestamp(float(since), UTC) if since else None,
        now + timedelta(milliseconds=probe_ms) if probe_ms >= 0 else None,
        bool(forced),
        float(share),
    )


def _mode(test_mode: bool) -> str:
    return "test" if test_mode else "live"
