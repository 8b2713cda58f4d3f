"""The configuration while a process runs: a change is taken, or refused while the last good one stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.domain.clock import Clock
from app.settings import ConfigurationError, Settings
from app.settings.load import CONFIG_NAME
from app.settings.renewal import Renewal, TakenAway
from app.telemetry.logs import log

# How often the files are looked at, and for how long one must have been the same to count as written.
_LOOK_S = 0.25
_STILL_S = 0.1
_ROUNDS = 20

Reload = Callable[[Settings], Renewal]
"""Reads the configuration anew. Raises ConfigurationError."""
Follower = Callable[[Settings], None]
"""Takes what it needs of new settings; must not fail."""
_Stamp = tuple[tuple[int, int, int] | None, ...]
_log = log("config")


class ConfigFile:
    """`settings` are in force; `refusal` or `loss` says why the file is not, `kept` what of it needs a restart.

    `loss`: the file may be valid, but it takes away what running work needs.
    The first look reads it too: it may have changed since the process read it.
    """

    def __init__(self, settings: Settings, reload: Reload, clock: Clock) -> None:
        self.settings = settings
        self.refusal: str | None = None
        self.loss: str | None = None
        self.kept: tuple[str, ...] = ()
        self._reload = reload
        self._clock = clock
        self._followers: list[Follower] = []
        self._seen: _Stamp = ()
        self._text: bytes | None = None
        self._asked = asyncio.Event()

    def follow(self, follower: Follower) -> None:
        """Tell it of every change from now on, between two steps of the event loop."""
        self._followers.append(follower)

    def again(self) -> None:
        """Read it now, changed or not: SIGHUP."""
        self._seen = ()
        self._asked.set()

    async def run(self) -> None:
        """Look until canceled."""
        while True:
            await self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._asked.wait()
            self._asked.clear()

    async def look(self) -> None:
        """Read the file if it, or one with a provider's key, has changed."""
        if self._stamp() != self._seen:
            self._seen = await self._still()
            await self._read()

    async def _read(self) -> None:
        try:
            text = await asyncio.to_thread(self._whole)
            renewal = await asyncio.to_thread(self._reload, self.settings)
        except TakenAway as error:
            self._refuse(None, str(error))
        except ConfigurationError as error:
            self._refuse(str(error), None)
        else:
            # What was written while it was read is looked at next; no half of each is taken.
            if self._stamp() == self._seen:
                self._text = text
                self._take(renewal)

    def _refuse(self, refusal: str | None, loss: str | None) -> None:
        if (refusal, loss) != (self.refusal, self.loss):
            _log.error("configuration refused", reason=refusal or loss)
        self.refusal, self.loss = refusal, loss

    def _whole(self) -> bytes | None:
        """The file's text. Raises TakenAway where it ends in the midst of a line of what was taken last."""
        try:
            text = self._path.read_bytes()
        except OSError:
            return None
        before = self._text or b""
        if len(text) < len(before) and before.startswith(text) and not text.endswith(b"\n"):
            line = text.count(b"\n") + 1
            raise TakenAway(f"{self._path}: cut off in line {line}; end it with a line break if that is all of it")
        return text

    def _take(self, renewal: Renewal) -> None:
        if self.refusal or self.loss:
            _log.info("configuration mended")
        self.refusal = self.loss = None
        self.settings = renewal.settings
        if renewal.kept and renewal.kept != self.kept:
            _log.warning("configuration needs a restart", what=", ".join(renewal.kept))
        self.kept = renewal.kept
        if renewal.changed:
            for follower in self._followers:
                follower(renewal.settings)
            _log.info("configuration taken", what=", ".join(renewal.changed))

    async def _still(self) -> _Stamp:
        """The stamp once it stays the same: an editor that empties the file before it writes must not be believed."""
        stamp = self._stamp()
        for _ in range(_ROUNDS):
            await self._clock.sleep(_STILL_S)
            before, stamp = stamp, self._stamp()
            if stamp == before:
                break
        return stamp

    def _stamp(self) -> _Stamp:
        keys = [Path(one.api_key_file) for one in self.settings.providers.values() if one.api_key_file]
        return tuple(map(_stamp_of, (self._path, *keys)))

    @property
    def _path(self) -> Path:
        return self.settings.config or Path(CONFIG_NAME)


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
