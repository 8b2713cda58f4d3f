"""Processor time of processes, read from /proc: what a job costs each part of a service."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

LOAD = "load"
_TICKS = os.sysconf("SC_CLK_TCK")
_OWN_TIMES = slice(11, 13)
_WITH_ENDED_CHILDREN = slice(11, 15)
# PostgreSQL has a process for each connection.
_FAMILIES = ("postgres",)


class Meter:
    """Counts from its making on. `parts` are process ids by name; this process, which makes the load, joins them."""

    def __init__(self, parts: Mapping[str, int]) -> None:
        self._parts = {**parts, LOAD: os.getpid()}
        self._before = self._read()

    def join(self, name: str, pid: int) -> None:
        """Count that process too, from now on."""
        self._parts[name] = pid
        self._before[name] = _seconds(pid, _OWN_TIMES)

    def ms_each(self, jobs: int) -> dict[str, float]:
        """Milliseconds a job by kind of part: `worker-1` and `worker-2` are added up as `worker`."""
        spent: dict[str, float] = {}
        for name, seconds in self._read().items():
            kind = kind_of(name)
            spent[kind] = spent.get(kind, 0.0) + (seconds - self._before[name]) * 1000 / jobs
        return spent

    def _read(self) -> dict[str, float]:
        return {
            name: _family_s(pid) if name in _FAMILIES else _seconds(pid, _OWN_TIMES)
            for name, pid in self._parts.items()
        }


def kind_of(name: str) -> str:
    """`worker` for `worker-2`."""
    return name.rstrip("0123456789").rstrip("-")


def _family_s(pid: int) -> float:
    """With the time of its children, living and ended."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _seconds(pid, _WITH_ENDED_CHILDREN) + sum(_living_s(int(child)) for child in children)


def _living_s(pid: int) -> float:
    with suppress(FileNotFoundError, ProcessLookupError):
        return _seconds(pid, _OWN_TIMES)
    return 0.0


def _seconds(pid: int, times: slice) -> float:
    """User and system time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[times]) / _TICKS
