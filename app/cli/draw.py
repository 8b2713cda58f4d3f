"""Draws a job's timeline in text: a bar for each span, in its place in time and below its parent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

_WIDTH = 44
_MARKS = {"job": "█", "attempt": "▓", "step": "▒", "call": "░", "wait": "·", "webhook": "▚"}


def draw_timeline(trace: dict[str, Any], width: int = _WIDTH) -> str:
    """The answer of `/v1/jobs/{id}/trace` as lines of text."""
    spans = trace["spans"]
    starts = [_time(span["started_at"]) for span in spans]
    ends = [_time(span["ended_at"] or span["started_at"]) for span in spans]
    first, whole = min(starts), max((max(ends) - min(starts)).total_seconds(), 0.001)
    lines = [f"trace {trace['trace_id']}   {_ms(whole)} in all"]
    lines += [_line(span, depth, first, whole, width) for span, depth in _in_order(spans)]
    return "\n".join(lines)


def _in_order(spans: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], int]]:
    known = {span["id"] for span in spans}
    below: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: (span["started_at"], _RANK.get(span["kind"], 9))):
        below[span["parent_id"] if span["parent_id"] in known else None].append(span)

    def walk(parent: str | None, depth: int) -> Iterator[tuple[dict[str, Any], int]]:
        for span in below[parent]:
            yield span, depth
            yield from walk(span["id"], depth + 1)

    return walk(None, 0)


_RANK = {"job": 0, "wait": 1, "attempt": 2, "step": 3, "call": 4, "webhook": 5}


def _line(span: dict[str, Any], depth: int, first: datetime, whole: float, width: int) -> str:
    start = (_time(span["started_at"]) - first).total_seconds()
    ended = span["ended_at"]
    took = (_time(ended) - _time(span["started_at"])).total_seconds() if ended else whole - start
    left = min(width - 1, int(start / whole * width))
    long = max(1, min(width - left, round(took / whole * width)))
    bar = " " * left + _MARKS.get(span["kind"], "█") * long
    name = ("  " * depth + _label(span))[:34]
    return f"{name:34} |{bar:{width}}| {_ms(took):>9}  {_note(span)}".rstrip()


def _label(span: dict[str, Any]) -> str:
    label = span["name"] if span["kind"] == "attempt" else f"{span['kind']} {span['name']}"
    key = span["attributes"].get("key")
    return f"{label}[{key}]" if key else label


def _note(span: dict[str, Any]) -> str:
    more = span["attributes"]
    words = [span["status"] if span["kind"] != "wait" else ""]
    if span["kind"] == "call":
        words.append(f"{more['input_tokens']}+{more['output_tokens']} tokens ${more['cost_usd']}")
    if more.get("error"):
        words.append(str(more["error"]))
    return " ".join(word for word in words if word)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 10 else f"{seconds:.1f} s"
