"""Draws docs/benchmarks.svg: a bar for each row, as long as Laneway is better than its peer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.figures import Row
from bench.page import number, times
from bench.record import Record

_ROW, _TOP, _MARGIN, _LABEL, _CHART, _NOTE = 28, 62, 18, 330, 340, 330
_WIDTH = _LABEL + _CHART + _NOTE + 2 * _MARGIN
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_BETTER, _WORSE, _TEXT, _FAINT = "#2f7fb5", "#e0912f", "#24292f", "#57606a"


def draw(records: Sequence[Record]) -> str:
    """The chart as an SVG document. The scale is logarithmic; a bar begins at 1, where both are equal."""
    rows = [row for record in records for row in record.rows if row.ratio]
    ratios = [row.ratio or 1.0 for row in rows]
    low = max((tick for tick in _TICKS if tick <= min([1.0, *ratios])), default=_TICKS[0])
    high = min((tick for tick in _TICKS if tick >= max([2.0, *ratios])), default=_TICKS[-1])
    scale = _Scale(low, high)
    height = _TOP + _ROW * len(rows) + _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12" role="img">',
        "<title>How many times better than its peer Laneway is, row by row</title>",
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff" stroke="#d0d7de"/>',
        _text(_MARGIN, 24, "Times better than the peer of the row", _TEXT, 14),
        *_axis(scale, height),
    ]
    for place, row in enumerate(rows):
        lines += _bar(row, scale, _TOP + _ROW * place)
    return "\n".join([*lines, "</svg>", ""])


class _Scale:
    def __init__(self, low: float, high: float) -> None:
        self.ticks = [tick for tick in _TICKS if low <= tick <= high]
        self._low, self._span = math.log(low), math.log(high) - math.log(low)

    def x(self, ratio: float) -> float:
        """Where that ratio stands; one beyond the scale at its end."""
        share = (math.log(ratio) - self._low) / self._span
        return _MARGIN + _LABEL + _CHART * min(1.0, max(0.0, share))


def _axis(scale: _Scale, height: int) -> list[str]:
    drawn = []
    for tick in scale.ticks:
        x, colour = scale.x(tick), "#8c959f" if tick == 1 else "#eaeef2"
        drawn.append(f'<line x1="{x:.1f}" y1="{_TOP - 6}" x2="{x:.1f}" y2="{height - _MARGIN}" stroke="{colour}"/>')
        drawn.append(_text(x - 8, _TOP - 12, f"{tick:g}x", _FAINT, 10))
    return drawn


def _bar(row: Row, scale: _Scale, y: int) -> list[str]:
    ratio = row.ratio or 1.0
    left, right = sorted((scale.x(1.0), scale.x(ratio)))
    own, peer = row.series[:2]
    note = f"{times(ratio)}: {number(own.median)} against {number(peer.median)} {row.unit}"
    colour = _BETTER if ratio >= 1 else _WORSE
    return [
        _text(_MARGIN, y + 16, row.title, _TEXT),
        f'<rect x="{left:.1f}" y="{y + 4}" width="{max(1.0, right - left):.1f}" height="{_ROW - 11}" rx="2" '
        f'fill="{colour}"/>',
        _text(_MARGIN + _LABEL + _CHART + 14, y + 12, note, _TEXT, 11),
        _text(_MARGIN + _LABEL + _CHART + 14, y + 24, peer.who, _FAINT, 10),
    ]


def _text(x: float, y: float, text: str, colour: str, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}">{escape(text)}</text>'
