"""How a run of a job ended: succeeded, failed, or parked until some time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.domain.call import Call
from app.domain.errors import Failure
from app.domain.job import Reason, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spent:
    """What every outcome says: usage added in this run; calls that stand in no step record yet, all within `usage`."""

    usage: Usage
    late_calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Succeeded(_Spent):
    """The function returned; `output` is canonical JSON bytes.

    `degraded` tells of steps that were left out or answered in another way: {step, key?, reason}. `incomplete`: one of
    those left out is worth trying again.
    """

    output: bytes
    degraded: tuple[Any, ...] = ()
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Failed(_Spent):
    """No wait helps. `expired`: the client's deadline passed while it ran."""

    failure: Failure
    charged: Literal[True] = True
    expired: bool = False


@dataclass(frozen=True, slots=True)
class Parked(_Spent):
    """Wait without a slot until `until`; `charged` counts an attempt, and then `failure` says for what.

    `pool`: whose turn it waits for, which may come before then.
    """

    reason: Reason
    until: datetime
    charged: bool
    failure: Failure | None = None
    pool: str | None = None


Outcome = Succeeded | Failed | Parked
