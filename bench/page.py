"""The tables of docs/benchmarks.md, made from the record."""

from __future__ import annotations

from collections.abc import Sequence

from bench.figures import Row, Series
from bench.record import Record

_RATES = ("jobs/s", "calls/s", "reads/s")
_MET = {True: "met", False: "**not met**", None: ""}


def tables(records: Sequence[Record]) -> str:
    """A line for each row, then everyone's figures."""
    if not records:
        return "Nothing was measured: run `make bench`."
    lines = ["| | What | Laneway | Peer | Times better | Expected | |", "| --- | --- | --- | --- | --- | --- | --- |"]
    lines += [_line(record.letter, row) for record in records for row in record.rows]
    lines += ["", "![How many times better than its peer Laneway is, row by row](benchmarks.svg)"]
    for record in records:
        lines += ["", f"### {record.letter}. {record.rows[0].title}", "", record.facts, ""]
        lines.append("\n\n".join(detail(row).strip() for row in record.rows))
    return "\n".join(lines)


def detail(row: Row) -> str:
    """Everyone's figures of a row, and the processor time that bounds them."""
    lines = [f"**{row.title}, {row.unit}.** {row.how}", ""]
    lines += [f"| Who | Keeps | Median (min–max) | Processor ms a {row.per} | Cores busy |", "| --- " * 5 + "|"]
    lines += [
        f"| {one.who} | {one.keeps} | {shown(one)} | {_parts(one)} | {_busy(row, one) or '-'} |" for one in row.series
    ]
    return "\n".join([*lines, *(["", *row.notes] if row.notes else []), ""])


def shown(one: Series) -> str:
    """Median and range."""
    return f"{number(one.median)} ({number(min(one.values))}–{number(max(one.values))})"


def number(value: float) -> str:
    """Three digits or so."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def times(ratio: float) -> str:
    """How many times."""
    return f"{ratio:.1f}x" if ratio >= 1 else f"{ratio:.2f}x"


def _line(letter: str, row: Row) -> str:
    own, *others = row.series
    peer = f"{number(others[0].median)} ({others[0].who})" if others else ""
    ratio = times(row.ratio) if row.ratio else ""
    bar = row.bar.text if row.bar else ""
    return f"| {letter} | {row.title}, {row.unit} | {number(own.median)} | {peer} | {ratio} | {bar} | {_MET[row.met]} |"


def _parts(one: Series) -> str:
    return ", ".join(f"{part} {ms:.2f}" for part, ms in one.processor_ms.items() if ms >= 0.005) or "-"


def _busy(row: Row, one: Series) -> str:
    """All parts together, and the busiest; only where the figure is a rate of what the processor time is told for."""
    if not one.processor_ms or row.unit not in _RATES:
        return ""
    cores = one.cores()
    part = max(cores, key=lambda name: cores[name])
    return f"{sum(cores.values()):.1f}, most by {part}: {cores[part]:.2f}"
