"""The tables of docs/limits.md, made from what was kept."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.limits.bars import BARS, Bound
from bench.limits.real.record import RECORD, load

_WHO = ("fixed 10", "fixed 50", "fixed 100", "AIMD", "SDK adaptive", "told buckets")
# What a figure is called, and how it is shown.
_NAMES = {
    "use": ("use", "{:.1f} %"),
    "refused": ("429 share", "{:.2f} %"),
    "wasted": ("tokens wasted", "{:.1f} %"),
    "up_again_s": ("back up after", "{:.0f} s"),
    "slower": ("real-time p95 / unloaded", "{:.2f}"),
    "outage_attempts": ("attempts in the outage", "{:.0f}"),
    "lost": ("jobs lost", "{:g}"),
    "first_success_s": ("first success after it", "{:.1f} s"),
    "burst_slower": ("real-time p95 / unloaded in the burst", "{:.2f}"),
    "small_to_first_come": ("small tenants' p95 wait / first come", "{:.2f}"),
    "small_p95_s": ("small tenants' p95 wait", "{:.0f} s"),
    "away_use": ("use while Redis is away", "{:.1f} %"),
    "away_refused": ("429 share while Redis is away", "{:.2f} %"),
}
_TITLES = {
    "hidden_requests": "hidden 900 requests/min",
    "changes": "the limit halves, then doubles",
    "headers": "900 requests/min, told in headers",
    "tokens_mixed": "hidden 900,000 tokens/min, mixed prompts",
    "hidden_cap": "hidden cap of 40 calls in flight",
    "knee_20": "latency knee at 20 in flight",
    "knee_40": "latency knee at 40 in flight",
    "knee_120": "latency knee at 120 in flight",
    "four_workers": "four worker processes, 900 requests/min",
    "outage": "outage of five minutes",
    "burst": "ten times the load for 30 s",
    "flood": "a flood beside small tenants",
    "redis_away": "Redis away for two minutes",
}
# From this share of busy processors on, programs wait for each other.
_FULL = 0.85
_CROWDED = (
    "**The machine was full**: what fails here may hold on a quiet one, since calls and answers stood in line for a "
    "processor, those of the provider too."
)
ADMIT_BARS = {"p99_ms": 5.0, "scripts": 2.2}


def mean(figures: Iterable[Mapping[str, float]], name: str) -> float | None:
    """Of all seeds; None where nobody has it."""
    found = [one[name] for one in figures if name in one]
    return statistics.fmean(found) if found else None


def holds(scenario: str, runs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the service holds all bars of the scenario, as the mean of the seeds."""
    return all(_holds(bound, mean((run["service"] for run in runs), bound.figure)) for bound in BARS[scenario])


def lines(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """A row for each figure that has a bar."""
    return [_row(name, bound, found) for name, found in runs.items() for bound in BARS[name]]


def _row(name: str, bound: Bound, runs: Sequence[Mapping[str, Any]]) -> str:
    label, form = _NAMES[bound.figure]
    own = mean((run["service"] for run in runs), bound.figure)
    others = [run["others"] for run in runs if run["others"]]
    cells = [
        _TITLES[name],
        label,
        _bar(bound),
        _shown(form, mean((run["simulated"] for run in runs), bound.figure)),
        f"**{_shown(form, own)}**{_range(form, [run['service'][bound.figure] for run in runs])}",
        "holds" if _holds(bound, own) else "**FAILS**",
        *(_of_other(bound, form, [other[who] for other in others if who in other]) for who in _WHO),
    ]
    return f"| {' | '.join(cells)} |"


# The others have no fair line: their small tenants' wait is what first come, first served gives.
def _of_other(bound: Bound, form: str, figures: Sequence[Mapping[str, float]]) -> str:
    if bound.figure == "small_to_first_come":
        return _shown(_NAMES["small_p95_s"][1], mean(figures, "small_p95_s"))
    return _shown(form, mean(figures, bound.figure))


def _range(form: str, values: Sequence[float]) -> str:
    return f" ({form.format(min(values))} to {form.format(max(values))})" if len(values) > 1 else ""


def _shown(form: str, value: float | None) -> str:
    return "-" if value is None or value < 0 else form.format(value)


def _bar(bound: Bound) -> str:
    form = _NAMES[bound.figure][1].replace(".0f", "g").replace(".1f", "g").replace(".2f", "g")
    sign, value = ("at most", bound.at_most) if bound.at_least is None else ("at least", bound.at_least)
    return f"{sign} {form.format(value)}"


def _holds(bound: Bound, value: float | None) -> bool:
    return value is not None and bound.holds({bound.figure: value})


def table(path: Path = RECORD) -> str:
    """The part of the page that is generated."""
    found = load(path)
    if not found:
        return "Nothing was measured: run `make bench-limits`."
    runs = found["runs"]
    held = sum(holds(name, of) for name, of in runs.items())
    head = ["Situation", "Figure", "Bar", "Laneway simulated", "Laneway on the service", "", *_WHO]
    shown = [
        *_about([one for of in runs.values() for one in of]),
        "",
        f"The service holds every bar of {held} of {len(runs)} situations.",
        "",
    ]
    shown += [f"| {' | '.join(head)} |", "| --- " * len(head) + "|", *lines(runs)]
    if admit := found.get("admit"):
        shown += ["", *_admit(admit, runs)]
    shown += ["", *(f"![{_TITLES[name]}](limits-{name.replace('_', '-')}.png)\n" for name in runs)]
    return "\n".join(shown).rstrip()


def _about(every: Sequence[Mapping[str, Any]]) -> list[str]:
    """What it was measured on."""
    busy = sorted({f"{one['busy']:.0%}" for one in every}, key=lambda text: int(text[:-1]))
    seeds = len({one["seed"] for one in every})
    said = f"{seeds} seed{'s' if seeds > 1 else ''}. Processors {' to '.join(dict.fromkeys((busy[0], busy[-1])))} busy"
    full = [_CROWDED] if max(one["busy"] for one in every) > _FULL else []
    return [*dict.fromkeys(one["facts"] for one in every), f"{said}, other work on the machine included.", *full]


def _admit(admit: Mapping[str, float], runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    beside = [
        f"{name} {mean((run['service'] for run in runs[name]), 'scripts'):.2f}"
        for name in ("hidden_requests", "four_workers")
        if name in runs
    ]
    return [
        "| `admit` | Bar | Measured | |",
        "| --- | --- | --- | --- |",
        f"| p50 at {admit['calls_per_s']:.0f} calls/s | | {admit['p50_ms']} ms | |",
        _admit_row("p99", "p99_ms", admit, " ms"),
        _admit_row("scripts a call", "scripts", admit, ""),
        f"| scripts a call at 15 calls/s, budgets' included | | {', '.join(beside) or '-'} | |",
    ]


def _admit_row(label: str, name: str, admit: Mapping[str, float], unit: str) -> str:
    bar, value = ADMIT_BARS[name], admit[name]
    return f"| {label} | at most {bar:g}{unit} | {value}{unit} | {'holds' if value <= bar else '**FAILS**'} |"
