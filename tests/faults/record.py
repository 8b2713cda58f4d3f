"""The last figures of every experiment, kept as JSON beside the page that shows them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.faults.table import Figures, markdown

RECORD = Path(__file__).resolve().parents[2] / "docs" / "faults.json"


def load(path: Path = RECORD) -> dict[str, Any]:
    """Facts and rows by the name of the experiment."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def keep(name: str, facts: str, rows: list[Figures], order: list[str], path: Path = RECORD) -> None:
    """Replace that experiment's figures; experiments that are no longer in `order` are forgotten."""
    kept = load(path) | {name: {"facts": facts, "rows": [asdict(row) for row in rows]}}
    ordered = {known: kept[known] for known in order if known in kept}
    path.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def page(path: Path = RECORD) -> str:
    """The table of the page, and what it was measured on."""
    kept = load(path)
    if not kept:
        return "Nothing was measured: run `make faults-long`."
    rows = [Figures(**row) for one in kept.values() for row in one["rows"]]
    facts = dict.fromkeys(one["facts"] for one in kept.values())
    return "\n".join([markdown(rows), "", *(f"Measured on {fact}" for fact in facts)])
