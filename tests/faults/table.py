"""The figures of experiments as lines of a table: counted over their runs, judged, shown as text or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.trial import Experiment, Line, Outcome


@dataclass(frozen=True, slots=True)
class Figures:
    """A line over all runs. `bar_s` None: T has no bound. `wrong`: why it FAILS; `skipped`: why it did not run."""

    title: str
    counts: str
    bar_s: float | None
    peer: str
    runs: int
    jobs: int
    lost: int
    webhooks: int
    doubled: int
    p50_s: float | None
    p99_s: float | None
    max_s: float | None
    wrong: list[str]
    skipped: str = ""
    p99: bool = False

    @property
    def judged_s(self) -> float | None:
        """What the bound is for: the longest T, or its p99."""
        return self.p99_s if self.p99 else self.max_s

    @property
    def in_time(self) -> bool:
        """Whether T stays in its bound."""
        return self.bar_s is None or self.judged_s is None or self.judged_s <= self.bar_s

    @property
    def holds(self) -> bool:
        """Nothing lost, nothing doubled, nothing else wrong, in time."""
        return not self.wrong and self.in_time


def figures(experiment: Experiment, outcomes: Sequence[Outcome]) -> list[Figures]:
    """What these runs of an experiment come to."""
    wrong = [f"seed {one.seed}: {words}" for one in outcomes for words in one.wrong]
    found = []
    for number, line in enumerate(experiment.lines):
        times = _times(outcomes, number)
        found.append(
            Figures(
                **_said(line, outcomes),
                runs=len(outcomes),
                jobs=sum(one.jobs for one in outcomes),
                lost=sum(one.lost for one in outcomes),
                webhooks=sum(one.webhooks for one in outcomes),
                doubled=sum(one.doubled for one in outcomes),
                p50_s=_percentile(times, 0.5),
                p99_s=_percentile(times, 0.99),
                max_s=times[-1] if times else None,
                wrong=wrong[:20],
            )
        )
    return found


def _said(line: Line, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What the line says of itself; a bound that another line's times make is known now."""
    bar_s = line.bar_s
    if line.over:
        most, other = line.over
        p99_s = _percentile(_times(outcomes, other), 0.99)
        bar_s = None if p99_s is None else most * p99_s
    return {"title": line.title, "counts": line.counts, "bar_s": bar_s, "peer": line.peer, "p99": line.p99}


def _times(outcomes: Sequence[Outcome], number: int) -> list[float]:
    return sorted(seconds for one in outcomes for seconds in one.times.get(number, ()))


def not_run(experiment: Experiment, reason: str) -> list[Figures]:
    """Its lines, without figures."""
    empty: dict[str, Any] = dict.fromkeys(("runs", "jobs", "lost", "webhooks", "doubled"), 0)
    none: dict[str, Any] = dict.fromkeys(("p50_s", "p99_s", "max_s"))
    return [Figures(**_said(line, ()), **empty, **none, wrong=[], skipped=reason) for line in experiment.lines]


def text(one: Figures) -> str:
    """For the terminal."""
    if one.skipped:
        return f"{one.title[:72]:<72}  not run: {one.skipped}"
    counts = f"{one.jobs:>6} {one.lost:>3} {one.webhooks:>3} {one.doubled:>3}"
    late = "" if one.in_time else f"  above {one.bar_s:.3g} s"
    return f"{one.title[:72]:<72} {counts}  {times(one)}  {one.counts}{late}{'  FAILS' if one.wrong else ''}"


HEAD = f"{'':<72} {'jobs':>6} {'L':>3} {'W':>3} {'D':>3}  T p50 / p99 / max, seconds"


def markdown(rows: Sequence[Figures]) -> str:
    """For the page."""
    head = ("Injected", "Runs", "Jobs", "L", "W", "D", "T p50 / p99 / max, s", "T counts", "Bound, s", "Best peer", "")
    lines = [_row(head), _row(["---"] * len(head))]
    lines += [_row(_cells(one)) for one in rows]
    failed = [f"- **{one.title}**: {words}" for one in rows for words in (one.wrong[:3] or _late(one))]
    return "\n".join([*lines, *(["", "What fails, with the seeds that show it:", "", *failed] if failed else [])])


def times(one: Figures) -> str:
    """p50 / p99 / max."""
    return "-" if one.max_s is None else " / ".join(f"{value or 0:.2f}" for value in (one.p50_s, one.p99_s, one.max_s))


def _cells(one: Figures) -> Sequence[str]:
    bar = "" if one.bar_s is None else f"{one.bar_s:.3g}{' (p99)' * one.p99}"
    if one.skipped:
        return (one.title, "0", "", "", "", "", "", one.counts, bar, one.peer, f"not run: {one.skipped}")
    counts = [str(count) for count in (one.runs, one.jobs, one.lost, one.webhooks, one.doubled)]
    return (one.title, *counts, times(one), one.counts, bar, one.peer, "holds" if one.holds else "**FAILS**")


def _late(one: Figures) -> list[str]:
    most = "in 99 of 100" if one.p99 else "at most"
    return [] if one.holds else [f"T is {one.judged_s:.2f} s {most}, {one.bar_s:.3g} s are allowed"]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None
