"""The record of a step: what makes finished work run never again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.call import Call
from app.domain.errors import Failure


class StepStatus(StrEnum):
    """`succeeded` and `failed` are final; `retrying` counts tries and will be tried again."""

    SUCCEEDED = "succeeded"
    RETRYING = "retrying"
    FAILED = "failed"


class Via(StrEnum):
    """The way in which a step came to its answer, where it was not the one asked for."""

    STALE = "stale_answer"
    FALLBACK_MODEL = "fallback_model"
    FALLBACK_FUNCTION = "fallback_function"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step; tries count over all attempts. `output` is canonical JSON bytes: the result once it
    succeeded, the time of the next try while it is retrying."""

    name: str
    key: str
    kind: str
    status: StepStatus
    tries: int
    args_digest: bytes
    output: bytes | None
    error: Failure | None
    started_at: datetime
    ended_at: datetime
    attempt: int
    span_id: str
    # An equal step of an earlier job was known, and this one did not run.
    cached: bool = False
    via: Via | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """What a step is known by."""
        return (self.name, self.key)


@dataclass(frozen=True, slots=True)
class StepPlace:
    """Where a call belongs: its step by name and key, and the step's span."""

    name: str
    key: str
    span_id: str


@dataclass(frozen=True, slots=True)
class StepWrite:
    """A step's record with the calls that made it: one transaction."""

    record: StepRecord
    calls: tuple[Call, ...] = ()
