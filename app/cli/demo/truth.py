"""Tells the simulated provider what people said of each review, in the form in which it will be asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from app.cli.dataset import Review
from app.supervise.folder import open_data
from app.workflows.review_sentiment import strip_markup


def write_truth(data: Path, reviews: Sequence[Review]) -> Path:
    """A file of `{"item", "answer"}` lines in the data directory, made if need be. Raises CannotStart, OSError."""
    open_data(data)
    path = data / "truth.jsonl"
    lines = (json.dumps({"item": strip_markup(review.text), "answer": {"label": review.label}}) for review in reviews)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
