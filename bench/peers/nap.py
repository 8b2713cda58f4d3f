"""The work of the fault comparison: a sleep that notes its begin and its end, on disk before it goes on."""

from __future__ import annotations

import asyncio
import json
import os
import time

JOURNAL = os.environ.get("BENCH_JOURNAL", "")


async def nap(n: int, seconds: float) -> int:
    """Sleep; the journal of the environment gets a line before and one after."""
    _note(n, "begin")
    await asyncio.sleep(seconds)
    _note(n, "end")
    return n


def _note(n: int, edge: str) -> None:
    line = {"at": time.time(), "n": n, "edge": edge, "pid": os.getpid()}
    handle = os.open(JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, json.dumps(line).encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
