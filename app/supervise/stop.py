"""How the parent is asked to stop: the first signal drains, the second kills."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Stop:
    """`asked` at the first signal, `hurry` at the second."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()

    def ask(self) -> None:
        """What each signal does."""
        (self.hurry if self.asked.is_set() else self.asked).set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block, Ctrl-C, SIGTERM and the terminal's end ask to stop, unless nohup hid the last."""
        loop = asyncio.get_running_loop()
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self.ask)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)
