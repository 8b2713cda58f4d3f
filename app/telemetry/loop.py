"""Background loops that must not end: what ends unasked is logged and started again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from app.telemetry.logs import log
from app.telemetry.place import kind_of, place_of

_PAUSE_S = 0.5


async def keep_running(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run `loop` until canceled; an error in it costs half a second, never the loop."""
    while True:
        try:
            await loop()
        except Exception as error:
            log("loop").error("loop ended", what=name, error=kind_of(error), exception=place_of(error))
        await asyncio.sleep(_PAUSE_S)
