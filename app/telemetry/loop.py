"""Background loops that must not end: what ends unasked is logged and started again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from app.domain.clock import Clock
from app.telemetry.logs import log
from app.telemetry.place import kind_of, place_of

_PAUSE_S = 0.5
_AGAIN_S = 0.25
_ROUNDS = 20
_PROBE_S = 0.25


async def keep_running(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run `loop` until canceled; an error in it costs half a second, never the loop."""
    while True:
        try:
            await loop()
        except Exception as error:
            log("loop").error("loop ended", what=name, error=kind_of(error), exception=place_of(error))
        await asyncio.sleep(_PAUSE_S)


async def measure_lag(clock: Clock, observe: Callable[[float], None]) -> None:
    """Tell four times a second how late the event loop woke this one."""
    while True:
        due = clock.monotonic() + _PROBE_S
        await clock.sleep(_PROBE_S)
        observe(clock.monotonic() - due)


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel loops until they have ended, for 5 s at most: a library may swallow one cancellation, or two."""
    left: Collection[asyncio.Task[None]] = tasks
    for _ in range(_ROUNDS):
        for task in left:
            task.cancel()
        left = (await asyncio.wait(left, timeout=_AGAIN_S))[1] if left else ()
    if left:
        log("loop").error("loop does not end", count=len(left))
