"""The journal file: one JSON line for each arrival and each end, appended at once so that it survives a kill."""

import os
from pathlib import Path

import orjson

from app.loadtest.provider.calls import Call

_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z


class FileJournal:
    """Appends each line with one write; with `fsync` the line is on disk before the call goes on."""

    def __init__(self, path: Path, fsync: bool) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._fsync = fsync
        self._pid = os.getpid()

    def write(self, event: str, call: Call) -> None:
        """Writes `{"event": "arrived" | "ended", "pid": ..., "call": {...}}`. Raises OSError."""
        line = orjson.dumps({"event": event, "pid": self._pid, "call": call}, option=_OPTIONS)
        if os.write(self._file, line) != len(line):
            raise OSError("the journal's disk is full")
        if self._fsync:
            os.fsync(self._file)


class NoJournal:
    """Writes nothing."""

    def write(self, event: str, call: Call) -> None:
        return None
