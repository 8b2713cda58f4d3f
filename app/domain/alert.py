"""Alerts: what an operator must know, each under a key of its own, from when to when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class AlertKind(StrEnum):
    """What can be wrong with the service."""

    UNCLAIMED = "unclaimed"
    DEAD_LETTERS = "dead_letters"
    QUARANTINE = "quarantine"
    SYSTEM_FAULT = "system_fault"
    CONFIGURATION = "configuration"
    PART_AWAY = "part_away"
    BUDGET_DRIFT = "budget_drift"


class AlertEvent(StrEnum):
    """What happens to an alert."""

    FIRED = "alert.fired"
    RESOLVED = "alert.resolved"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong at this moment; `about` tells it from others of its kind: a lane, a part, a provider."""

    kind: AlertKind
    about: str
    detail: str

    @property
    def key(self) -> str:
        """What fires once and resolves once."""
        return f"{self.kind}:{self.about}"


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition that held: first seen at `since`, told of at `fired_at`, gone since `resolved_at`."""

    id: UUID
    kind: AlertKind
    key: str
    detail: str
    since: datetime
    fired_at: datetime
    resolved_at: datetime | None
