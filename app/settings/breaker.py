"""When breakers open, as far as that is settable."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.settings.providers import Group


class BreakerSettings(Group):
    """Circuit breakers of pools and of what steps name."""

    # What took more than this part of its timeout counts as failed, though it ended well; 1: nothing is too slow.
    slow_share: Annotated[float, Field(ge=0.1, le=1)] = 0.8
