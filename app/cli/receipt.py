"""Writes a job's receipt for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def receipt_lines(receipt: Mapping[str, Any]) -> Iterator[str]:
    """A line for each call, one for the waits, and the sum; nothing for a job that called nobody."""
    if not receipt["lines"]:
        return
    yield ""
    for line in receipt["lines"]:
        step = line["step"] + (f"[{line['key']}]" if line["key"] else "")
        tokens = f"{line['input_tokens']}+{line['output_tokens']} tokens"
        yield f"  ${line['cost_usd']}  {step}  {line['provider']}/{line['model']}  {tokens}  {line['why']}"
    if receipt["waits"]:
        yield "  waited: " + ", ".join(f"{name} {seconds:g} s" for name, seconds in receipt["waits"].items())
    uncertain = receipt["uncertain_usd"]
    estimated = f", ${uncertain} of it uncertain" if uncertain.strip("0.") else ""
    yield f"  ${receipt['charged_usd']} in all{estimated}; caches saved ${receipt['saved_usd']}"
