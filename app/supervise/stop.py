"""How the parent is asked to stop: the first signal drains, the second kills."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.domain import hangup


class Stop:
    """`asked` at the first signal, `hurry` at the second."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()

    def ask(self) -> None:
        """What each signal does."""
        (self.hurry if self.asked.is_set() else self.asked).set()

    @contextmanager
    def listening(self, reload: Callable[[], None]) -> Iterator[None]:
        """Within the block, Ctrl-C, SIGTERM and the terminal's end ask to stop; any other SIGHUP calls `reload`."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self.ask)
        try:
            with hangup.listening(reload, self.ask):
                yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)
