"""One pair of servers for all experiments; each has clients and journals of its own, and a row in a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.faults.crew import Crew
from tests.faults.scene import Scene, stage
from tests.faults.verdict import Verdict
from tests.stack import Stack

_ROWS: list[str] = []
_HEAD = f"{'experiment':<44} {'jobs':>5} {'L':>2} {'W':>2} {'D':>2} {'reruns':>6} {'unanswered':>10}  T in seconds"


class Report:
    """Adds a row to the table that is printed at the end."""

    def __call__(self, what: str, verdict: Verdict, seconds: Sequence[float], note: str = "") -> None:
        counts = [len(found) for found in (verdict.lost, verdict.webhooks, verdict.doubled)]
        shown = " ".join(f"{count:>2}" for count in counts)
        _ROWS.append(
            f"{what:<44} {verdict.jobs:>5} {shown} {verdict.reruns:>6} {verdict.unanswered:>10}"
            f"  {_times(seconds)}{note}"
        )


def _times(seconds: Sequence[float]) -> str:
    if not seconds:
        return "-"
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"p50 {ordered[len(ordered) // 2]:.2f}  p99 {p99:.2f}  max {ordered[-1]:.2f}  (n={len(ordered)})"


@pytest.fixture(scope="session")
def report() -> Report:
    """Where experiments say what they found."""
    return Report()


@pytest.fixture(scope="session")
def servers() -> Iterator[Stack]:
    """PostgreSQL, Valkey, provider and receiver, with their journals."""
    with stage() as stack:
        yield stack


@pytest.fixture(scope="session")
def crew(servers: Stack) -> Crew:
    """The shared API and workers; the stack ends them."""
    return Crew(servers)


@pytest.fixture
def scene(servers: Stack, crew: Crew, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """An experiment under its test's name; the processes it started for itself are gone afterwards."""
    yield Scene(request.node.name.removeprefix("test_").replace("_", "-")[:60], servers, crew)
    crew.end_of_test()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table."""
    if _ROWS:
        terminalreporter.write_line("")
        for row in (_HEAD, *_ROWS):
            terminalreporter.write_line(row)
