"""The last figures of every benchmark, kept as JSON beside the page that shows them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Row, restored, stored

RECORD = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.json"


@dataclass(frozen=True, slots=True)
class Record:
    """One benchmark: its letter, what it was measured on, its rows."""

    letter: str
    facts: str
    rows: list[Row]


def load(path: Path = RECORD) -> list[Record]:
    """All that are kept, by letter."""
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return [
        Record(letter, one["facts"], [restored(row) for row in one["rows"]]) for letter, one in sorted(kept.items())
    ]


def keep(record: Record, path: Path = RECORD) -> None:
    """Replace that benchmark's figures."""
    records = {one.letter: one for one in [*load(path), record]}
    kept = {
        letter: {"facts": one.facts, "rows": [stored(row) for row in one.rows]}
        for letter, one in sorted(records.items())
    }
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
