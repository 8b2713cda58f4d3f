"""The last measured run, kept as JSON beside the page that shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RECORD = Path(__file__).resolve().parents[3] / "docs" / "limits.json"


def load(path: Path = RECORD) -> dict[str, Any]:
    """Everything that is kept; nothing where nothing was measured."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def save(measured: Mapping[str, Any], path: Path = RECORD) -> None:
    """Replace it."""
    path.write_text(json.dumps(measured, separators=(",", ":")) + "\n", encoding="utf-8")
