"""How a call ended, as a breaker counts it."""

from __future__ import annotations

from enum import StrEnum


class Ending(StrEnum):
    """`other` (a limit, a wrong input) says no more than that somebody is there; one that was slow has `failed`."""

    OK = "ok"
    FAILED = "failed"
    REFUSED = "refused"
    OTHER = "other"
