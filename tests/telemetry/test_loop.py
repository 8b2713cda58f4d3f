"""Loops that must not end."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from structlog.testing import capture_logs

from app.telemetry.loop import keep_running

SECRET = "canary-prompt"


async def test_a_loop_that_fails_or_returns_runs_again_until_it_is_canceled() -> None:
    starts, third = 0, asyncio.Event()

    async def loop() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise ValueError(SECRET)
        if starts > 2:
            third.set()
            await asyncio.Event().wait()

    with capture_logs() as lines:
        task = asyncio.create_task(keep_running("heart", loop))
        async with asyncio.timeout(10):
            await third.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert task.cancelled()
    await asyncio.sleep(0.05)
    assert starts == 3
    (line,) = lines
    assert (line["what"], line["error"]) == ("heart", "ValueError")
    assert "test_loop.py:" in line["exception"]
    assert SECRET not in repr(lines)


async def test_a_loop_that_ends_at_once_every_time_does_not_spin() -> None:
    starts = 0

    async def loop() -> None:
        nonlocal starts
        starts += 1

    task = asyncio.create_task(keep_running("idle", loop))
    await asyncio.sleep(0.3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert starts == 1
