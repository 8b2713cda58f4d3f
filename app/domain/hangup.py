"""SIGHUP has two meanings: the terminal that a process was started from is gone, or its configuration is to be read."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# The kernel hangs up a terminal's processes and takes it from them in no promised order.
_SETTLED_S = 0.2


def hold_off() -> None:
    """While nobody listens a hangup does nothing: what starts reads its configuration anyway."""
    if not _hidden():
        signal.signal(signal.SIGHUP, lambda number, frame: None)


@contextmanager
def listening(reload: Callable[[], None], end: Callable[[], None]) -> Iterator[None]:
    """Within the block, a terminal's end calls `end`, unless nohup hid it, and any other SIGHUP `reload`.

    In the event loop of the main thread.
    """
    loop = asyncio.get_running_loop()
    attached = not _hidden() and _has_terminal()

    def decide() -> None:
        (end if attached and not _has_terminal() else reload)()

    loop.add_signal_handler(signal.SIGHUP, lambda: loop.call_later(_SETTLED_S, decide))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        # Who ends already is not to be killed by a late one.
        hold_off()


def _hidden() -> bool:
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
