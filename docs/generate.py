"""Writes the parts of the pages that come from the code: `python -m docs.generate`; tests compare.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from app.cli.verify import HEAD, row, summary
from app.domain.advice import ADVICE
from app.domain.clock import SYSTEM_CLOCK
from app.domain.errors import CATALOGUE
from app.domain.job import TERMINAL, TRANSITIONS, Status
from app.ops.scrape import Fleet
from app.ops.verify import CHECKS
from app.store.invariants.inspection import Finding
from app.telemetry.instruments import Instrument
from app.telemetry.metrics import Metrics
from bench.faults_page import page as peers_table
from bench.limits.real.page import table as limits_table
from bench.page import tables
from bench.record import load
from tests.faults.record import page as fault_table

HERE = Path(__file__).parent
_PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def states() -> str:
    """The job's states and the verbs between them, as a diagram."""
    moves: dict[tuple[str, str], list[str]] = defaultdict(list)
    for verb, (before, after) in TRANSITIONS.items():
        for target in sorted(after):
            for source in sorted(map(str, before)) or ["[*]"]:
                moves[source, target].append(verb)
    lines = [f"    {source} --> {target}: {', '.join(verbs)}" for (source, target), verbs in moves.items()]
    ends = [f"    {state} --> [*]" for state in Status if state in TERMINAL]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, *ends, "```"])


def verbs() -> str:
    """The same as a table: a row for each verb."""
    rows = [
        f"| `{verb}` | {_shown(before) or 'a new job'} | {_shown(after)} |"
        for verb, (before, after) in TRANSITIONS.items()
    ]
    return "\n".join(["| Verb | From | To |", "| --- | --- | --- |", *rows])


def errors() -> str:
    """The catalogue of error codes that are answers."""
    rows = [_error(code, str(entry.status)) for code, entry in CATALOGUE.items() if entry.status]
    return "\n".join(["| Status | Code | Title | Retryable | What to do |", "| --- | --- | --- | --- | --- |", *rows])


def job_errors() -> str:
    """The codes that stand in `job.error` only."""
    rows = [
        _error(code, after=f"`{ADVICE[code].error_class}`") for code, entry in CATALOGUE.items() if not entry.status
    ]
    return "\n".join(["| Code | Class | Title | Retryable | What to do |", "| --- | --- | --- | --- | --- |", *rows])


def benchmarks() -> str:
    """What `make bench` measured last."""
    return tables(load())


def limits() -> str:
    """What `make bench-limits` measured last."""
    return limits_table()


def faults() -> str:
    """What `make faults-long` found last."""
    return fault_table()


def faults_of_peers() -> str:
    """What `python -m bench.faults` found last."""
    return peers_table()


def verified() -> str:
    """What `laneway verify` prints where one invariant is broken."""
    broken = {"usage": ("job_01m80dta6ve01amcxqhjbew5cv",)}
    found = [(check, broken.get(check.name, ())) for check in CHECKS]
    findings = [Finding(check, len(first), first, cut_off=False, took_s=0.002) for check, first in found]
    return "\n".join(["```text", HEAD, *map(row, findings), "", summary(findings, None, "10s"), "```"])


def fleet_metrics() -> str:
    """What `/metrics` says of the whole service."""
    return _metrics(Fleet().instruments())


def process_metrics() -> str:
    """What it says of each process."""
    return _metrics(Metrics(SYSTEM_CLOCK).instruments())


PARTS = {
    "states": states,
    "verbs": verbs,
    "errors": errors,
    "job-errors": job_errors,
    "benchmarks": benchmarks,
    "limits": limits,
    "faults": faults,
    "verified": verified,
    "faults-of-peers": faults_of_peers,
    "fleet-metrics": fleet_metrics,
    "process-metrics": process_metrics,
}


def renewed(text: str) -> str:
    """The page with its generated parts made anew. Raises KeyError for a part that nobody makes."""
    return _PART.sub(lambda part: f"{part[1]}{PARTS[part[2]]()}\n{part[3]}", text)


def _shown(found: frozenset[Status]) -> str:
    return ", ".join(f"`{state}`" for state in Status if state in found)


def _error(code: str, before: str = "", after: str = "") -> str:
    entry = CATALOGUE[code]
    cells = [before, f"`{code}`", after, entry.title, "yes" if entry.retryable else "no", ADVICE[code].what_to_do]
    return f"| {' | '.join(cell for cell in cells if cell)} |"


def _metrics(instruments: Sequence[Instrument]) -> str:
    rows = [
        f"| `{one.name}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels)} | {one.meaning} |"
        for one in instruments
    ]
    return "\n".join(["| Metric | Kind | Labels | What |", "| --- | --- | --- | --- |", *rows])


def main() -> None:
    """Renew every page."""
    for page in sorted(HERE.glob("*.md")):
        before = page.read_text(encoding="utf-8")
        if (after := renewed(before)) != before:
            page.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
