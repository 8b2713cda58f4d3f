"""A process that logs in every way there is: `python -m tests.telemetry.speaker CANARY`; each line must be JSON."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import traceback
import warnings

from app.telemetry.logs import about, configure_logs, log


def main(canary: str) -> None:
    configure_logs("INFO", "test")
    own(canary)
    libraries(canary)
    asyncio.run(left_task(canary))
    thread = threading.Thread(target=careless, args=(canary,))
    thread.start()
    thread.join()
    log("room").info("end")
    careless(canary)


def careless(canary: str) -> None:
    """Raises an error with a cause; nobody catches it."""
    try:
        raise ConnectionRefusedError(111, canary)
    except OSError as error:
        raise ValueError(f'File "{canary}/x.py", line 1\n\n{canary}: x') from error


def own(canary: str) -> None:
    """Our own lines, with words that are not allowed and exceptions that carry the canary."""
    with about(job_id="job_1", trace_id="t1"):
        log("room").info("inside", step="a", prompt=canary, api_key=canary)
        thread = threading.Thread(target=log("room").info, args=("other thread",))
        thread.start()
        thread.join()
    log("room").info("outside", count=3)
    try:
        raise ValueError(canary)
    except ValueError as error:
        log("room").exception("handled")
        log("room").error("told", exc_info=error)
    log("room").info("surrogate \ud800 and\nnewline", code="\x00")


def libraries(canary: str) -> None:
    """Lines of the standard library's logging, and warnings."""
    logging.getLogger("arq.worker").error("%.1fs ! %s failed: %s", 1.25, canary, ValueError(canary))
    logging.getLogger("opentelemetry.exporter").error("code: %d", canary)
    logging.getLogger("an.author").warning(f"looked at {canary}")
    logging.getLogger("an.author").info("below warning")
    logging.getLogger("uvicorn.error").error(OSError(98, canary))
    logging.getLogger("uvicorn.error").error("%(what)s happened", {"what": canary})
    try:
        careless(canary)
    except ValueError:
        logging.getLogger("uvicorn.error").error(traceback.format_exc())
    warnings.warn(f"{canary}: is old", DeprecationWarning, stacklevel=1)


async def left_task(canary: str) -> None:
    """A task whose error nobody fetches: asyncio tells it with its message."""

    async def fails() -> None:
        raise ValueError(canary)

    task = asyncio.create_task(fails())
    await asyncio.sleep(0.01)
    del task
    gc.collect()


if __name__ == "__main__":
    main(sys.argv[1])
