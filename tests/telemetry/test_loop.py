"""Loops that must not end."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from structlog.testing import capture_logs

from app.telemetry.loop import end, keep_running

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


async def test_a_loop_whose_library_swallows_a_cancellation_still_ends() -> None:
    swallowed = 0

    async def loop() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.Event().wait()

    tasks = [asyncio.create_task(keep_running(name, loop)) for name in ("one", "two")]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end(*tasks)
    assert swallowed >= 2 and all(task.cancelled() for task in tasks)


async def test_ending_nothing_is_nothing() -> None:
    await end()
