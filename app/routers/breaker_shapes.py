"""The shapes of HTTP answers about breakers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime

from app.routers.shapes import Answer


class BreakerState(Answer):
    """A part outside that steps name. `since`: null where it has always been closed; `next_probe_at`: while it is open
    one try goes then, to see whether the part is back.
    """

    name: str
    state: Literal["closed", "open", "half_open"]
    forced: bool
    since: AwareDatetime | None
    next_probe_at: AwareDatetime | None


class BreakerList(Answer):
    """All of a project and mode, by name."""

    data: list[BreakerState]


ANSWERS: tuple[type[Answer], ...] = (BreakerState, BreakerList)
BREAKER: dict[str, Any] = {
    "name": "crm",
    "state": "open",
    "forced": False,
    "since": "2026-03-01T12:00:00.000Z",
    "next_probe_at": "2026-03-01T12:00:04.100Z",
}
