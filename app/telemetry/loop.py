"""Background loops that must not end: what ends unasked is logged and started again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from app.telemetry.logs import log

_PAUSE_S = 0.5


async def keep_running(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run `loop` until canceled; an error in it costs half a second, never the loop."""
    while True:
        try:
            await loop()
        except Exception as error:
            log("loop").error("loop ended", what=name, error=f"{type(error).__name__}: {error}"[:300])
        await asyncio.sleep(_PAUSE_S)
