"""Draws `docs/timeline.svg` from `docs/timeline.json`, a job's real trace: `python -m docs.pictures`.

The trace is the answer of `GET /v1/jobs/{id}/trace`, kept as it came: save another one there to draw another job.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

HERE = Path(__file__).parent
TRACE, PICTURE = HERE / "timeline.json", HERE / "timeline.svg"

_ROW, _TOP, _LEFT, _CHART, _RIGHT, _MARGIN = 24, 58, 250, 470, 288, 18
_WIDTH = _MARGIN + _LEFT + _CHART + _RIGHT
_COLOURS = {
    "job": "#3b4a5a",
    "wait": "#c3cad1",
    "attempt": "#6f8296",
    "step": "#2f7fb5",
    "call": "#e0912f",
    "webhook": "#3f9c6d",
}
_RANK = {kind: rank for rank, kind in enumerate(_COLOURS)}
_TICKS_MS = (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000, 10_000)
_MOST_TICKS = 8

Span = dict[str, Any]


def draw(trace: dict[str, Any]) -> str:
    """The trace as an SVG document: a bar for each span, in its place in time and below its parent."""
    spans = list(_in_order(trace["spans"]))
    first = min(_ms(span["started_at"]) for span, _ in spans)
    whole = max(_ms(span["ended_at"]) for span, _ in spans) - first
    height = _TOP + _ROW * len(spans) + _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="12" role="img">',
        f"<title>Timeline of trace {escape(trace['trace_id'])}</title>",
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff" stroke="#d0d7de"/>',
        _text(_MARGIN, 24, f"trace {trace['trace_id']}", "#57606a"),
        *_legend(),
        *_axis(whole, height),
    ]
    for place, (span, depth) in enumerate(spans):
        lines += _row(span, depth, _TOP + _ROW * place, first, whole)
    return "\n".join([*lines, "</svg>", ""])


def _in_order(spans: list[Span]) -> Iterator[tuple[Span, int]]:
    known = {span["id"] for span in spans}
    below: dict[str | None, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: (span["started_at"], _RANK[span["kind"]])):
        below[span["parent_id"] if span["parent_id"] in known else None].append(span)

    def walk(parent: str | None, depth: int) -> Iterator[tuple[Span, int]]:
        for span in below[parent]:
            yield span, depth
            yield from walk(span["id"], depth + 1)

    return walk(None, 0)


def _legend() -> list[str]:
    drawn, x = [], _MARGIN + _LEFT + _CHART + _RIGHT - 90 * len(_COLOURS)
    for kind, colour in _COLOURS.items():
        drawn += [
            f'<rect x="{x}" y="15" width="10" height="10" rx="2" fill="{colour}"/>',
            _text(x + 15, 24, kind, "#57606a"),
        ]
        x += 90
    return drawn


def _axis(whole_ms: float, height: int) -> list[str]:
    step = next((tick for tick in _TICKS_MS if whole_ms / tick <= _MOST_TICKS), _TICKS_MS[-1])
    drawn = []
    for tick in range(0, int(whole_ms) + 1, step):
        x = _x(tick, whole_ms)
        drawn.append(f'<line x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{height - _MARGIN}" stroke="#eaeef2"/>')
        drawn.append(_text(x, _TOP - 12, f"{tick} ms", "#8c959f", size=10))
    return drawn


def _row(span: Span, depth: int, y: int, first: float, whole: float) -> list[str]:
    start, end = _ms(span["started_at"]) - first, _ms(span["ended_at"]) - first
    left, width = _x(start, whole), max(2.0, _x(end, whole) - _x(start, whole))
    at = f'x="{left:.1f}" y="{y + 4}" width="{width:.1f}" height="{_ROW - 10}"'
    return [
        _text(_MARGIN + 14 * depth, y + 15, _label(span), "#24292f"),
        f'<rect {at} rx="2" fill="{_COLOURS[span["kind"]]}"/>',
        _text(_MARGIN + _LEFT + _CHART + 10, y + 15, _note(span, end - start), "#57606a", size=11),
    ]


def _label(span: Span) -> str:
    name = str(span["name"])
    return name if name.startswith(span["kind"]) else f"{span['kind']} {name}"


def _note(span: Span, took_ms: float) -> str:
    more = span["attributes"]
    words = [f"{took_ms:7.1f} ms"]
    if span["kind"] == "call":
        words.append(f"{more['input_tokens']}+{more['output_tokens']} tokens ${more['cost_usd']}")
    if span["kind"] == "webhook":
        words.append(f"answered {more['status_code']}")
    if span["kind"] == "job":
        words.append(f"{span['status']} ${more['cost_usd']}")
    return "  ".join(words)


def _text(x: float, y: float, text: str, colour: str, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y}" fill="{colour}" font-size="{size}" xml:space="preserve">{escape(text)}</text>'


def _x(ms: float, whole_ms: float) -> float:
    return _MARGIN + _LEFT + ms / whole_ms * _CHART


def _ms(time: str) -> float:
    return datetime.fromisoformat(time).timestamp() * 1000


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(draw(json.loads(TRACE.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
