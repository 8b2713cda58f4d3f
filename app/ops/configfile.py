"""The configuration file after the start: a change that would be refused is noticed, while the old one goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

Check = Callable[[], str | None]
"""Reads the configuration anew; why it would be refused, None where it would not."""
_Stamp = tuple[int, int, int] | None


class ConfigFile:
    """Reads the file again when it has changed. What is valid takes effect with the next start of a process."""

    def __init__(self, path: Path | None, check: Check) -> None:
        self._path = path
        self._check = check
        self._seen = self._stamp()
        self.refusal: str | None = None

    async def look(self) -> None:
        """Look whether it has changed, and if so, whether it would be refused."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            self.refusal = await asyncio.to_thread(self._check)

    def _stamp(self) -> _Stamp:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)
