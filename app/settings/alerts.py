"""When the service calls an operator."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.settings.providers import Group


class AlertSettings(Group):
    """Thresholds of the alerts, and how long a thing must be so, or be gone, before one is told."""

    # How often one of all processes looks.
    interval_s: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    # A condition fires once it has held for so long, and resolves once it is gone for so long.
    hold_s: Annotated[float, Field(ge=0, le=3600)] = 3.0
    clear_s: Annotated[float, Field(ge=0, le=86400)] = 15.0
    # Due work may wait for so long while slots are free, or while no worker serves its lane.
    unclaimed_s: Annotated[float, Field(gt=0, le=3600)] = 3.0
    # The window in which failures are counted, and how many of a kind in it are too many.
    window_s: Annotated[float, Field(ge=1, le=86400)] = 300.0
    dead_letters: Annotated[int, Field(ge=1, le=1000)] = 10
    quarantine: Annotated[int, Field(ge=1, le=1000)] = 100
    # Jobs that wait for `system`, or for `provider_auth`.
    system_jobs: Annotated[int, Field(ge=1, le=100_000)] = 1
