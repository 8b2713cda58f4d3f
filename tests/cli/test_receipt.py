"""A receipt in the terminal."""

from __future__ import annotations

from typing import Any

from app.cli.receipt import receipt_lines

LINE: dict[str, Any] = {
    "step": "say", "key": "a", "provider": "main", "model": "mini-1", "input_tokens": 8, "output_tokens": 4,
    "cost_usd": "0.000003600", "why": "the model answered",
}  # fmt: skip


def test_a_line_for_each_call_the_waits_and_the_sum() -> None:
    sums = {"charged_usd": "0.000003600", "uncertain_usd": "0.000000000", "saved_usd": "0.000000000"}
    found = {"lines": [LINE], "waits": {"budget": 12.5}, **sums}
    *lines, total = receipt_lines(found)
    assert lines == [
        "",
        "  $0.000003600  say[a]  main/mini-1  8+4 tokens  the model answered",
        "  waited: budget 12.5 s",
    ]
    assert total == "  $0.000003600 in all; caches saved $0.000000000"
    *_, total = receipt_lines({**found, "uncertain_usd": "0.000001000"})
    assert total == "  $0.000003600 in all, $0.000001000 of it uncertain; caches saved $0.000000000"


def test_a_job_that_called_nobody_has_none() -> None:
    assert list(receipt_lines({"lines": [], "waits": {}})) == []
