"""Routing of whole jobs: what a post is decides which model judges it, and the ledger shows it."""

from __future__ import annotations

import pytest

from app.domain import ids
from tests.stack import Stack

PLAIN = "what a view of the sea. "


@pytest.mark.parametrize(("text", "model"), [(PLAIN, "small-sim"), (PLAIN * 100, "large-sim")])
def test_simple_items_take_the_cheap_model_and_long_ones_the_capable(stack: Stack, text: str, model: str) -> None:
    job = stack.submit("moderate-post", {"text": text}, wait=30)
    assert job["status"] == "succeeded"
    rows = stack.sql("select model from calls where job_id = $1", ids.read("job", job["id"]))
    assert [row["model"] for row in rows] == [model]
