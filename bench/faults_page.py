"""The table of peers under fault on docs/faults.md, made from its record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORD = Path(__file__).resolve().parents[1] / "docs" / "faults-peers.json"
JOBS, QUEUED, STOPS, LONG_JOBS = 10, 1000, 6, 3


@dataclass(frozen=True, slots=True)
class Row:
    """What one of them came to: seconds from the kill to the next start of its jobs, jobs lost, jobs that ended."""

    name: str
    how: str
    taken_up_s: list[float]
    never: int
    lost: int
    ended: int


def shown(row: Row) -> str:
    """A line of the page's table."""
    times = row.taken_up_s
    taken = f"{times[len(times) // 2]:.1f} / {times[-1]:.1f}" if times else "-"
    never = f", {row.never} of {JOBS} never" if row.never else ""
    return f"| {row.name} | {row.how} | {taken}{never} | {row.lost} of {QUEUED} | {row.ended} of {LONG_JOBS} |"


def page(path: Path = RECORD) -> str:
    """The table of the page."""
    if not path.exists():
        return "Nothing was measured: run `make faults-long`."
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    head = ("Who", "How", "kill -9: T p50 / max, s", "Redis lost: jobs lost", f"{STOPS} x SIGTERM: jobs that end")
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    return "\n".join([*lines, *(shown(Row(**row)) for row in kept["rows"]), "", f"Measured on {kept['facts']}"])
