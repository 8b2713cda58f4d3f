"""Draws docs/limits-*.png from docs/limits.json: `python -m bench.limits.real.draw`, with the peers' environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

_DOCS = Path(__file__).resolve().parents[3] / "docs"
_EVERY_S = 5
_SERVICE, _SIMULATED, _LIMIT, _OTHER, _LEARNED = "#2f7fb5", "#e0912f", "#24292f", "#b7bdc4", "#5aa469"
# Of the ways people do it themselves, the one that comes closest on a constant limit; all are in the table.
_SHOWN = "SDK adaptive"


def draw(name: str, runs: list[dict[str, Any]]) -> None:
    """Above what the provider took, beside its limit; below the 429s, counted up."""
    run = next((one for one in runs if one["others"]), runs[0])
    series, figure = run["series"], pyplot.figure(figsize=(8, 4.6), dpi=90)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    what, unit = _what(name)
    times = [number * _EVERY_S for number in range(len(series["limit"]))]
    upper.step(times, series["limit"], where="post", color=_LIMIT, linewidth=1, label="limit, hidden")
    if _SHOWN in series["others"]:
        upper.plot(times, series["others"][_SHOWN][what], color=_OTHER, linewidth=1, label=_SHOWN)
    upper.plot(times, series["simulated"][what], color=_SIMULATED, linewidth=1.2, label="Laneway, simulated")
    upper.plot(times, series["service"][what], color=_SERVICE, linewidth=1.6, label="Laneway, on the service")
    _learned(upper, series, what)
    upper.set_ylabel(unit)
    upper.set_ylim(0, 2 * max(series["limit"]))
    upper.legend(fontsize=7, loc="upper right", ncols=2)
    for who, colour in (("simulated", _SIMULATED), ("service", _SERVICE)):
        lower.step(times, _summed(series[who]["refused"]), where="post", color=colour, linewidth=1.4)
    lower.set_ylabel("429s so far")
    lower.set_ylim(0, 1.1 * max(10, *(sum(series[who]["refused"]) for who in ("simulated", "service"))))
    lower.set_xlabel("seconds since the start, from cold")
    upper.set_title(f"{name.replace('_', ' ')}, seed {run['seed']}", fontsize=10)
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(_DOCS / f"limits-{name.replace('_', '-')}.png", metadata={"Software": None})
    pyplot.close(figure)


def _what(name: str) -> tuple[str, str]:
    if name.startswith("tokens"):
        return "tokens", "tokens a second"
    if name.startswith(("knee", "hidden_cap")):
        return "in_flight", "calls in flight"
    return "accepted", "requests a second"


def _learned(axes: Any, series: dict[str, Any], what: str) -> None:
    """The rate, or the cap, as operators see it in `/v1/pools`."""
    if what == "tokens" or not series["learned"]:
        return
    place = 2 if what == "in_flight" else 1
    points = [(one[0], one[place]) for one in series["learned"] if one[place] is not None]
    axes.plot(*zip(*points, strict=True), ".", color=_LEARNED, markersize=3, label="rate or cap in /v1/pools")


def _summed(values: list[int]) -> list[int]:
    found, total = [], 0
    for value in values:
        total += value
        found.append(total)
    return found


def main() -> None:
    """All of them."""
    measured = json.loads((_DOCS / "limits.json").read_text(encoding="utf-8"))
    for name, runs in measured["runs"].items():
        draw(name, runs)


if __name__ == "__main__":
    main()
