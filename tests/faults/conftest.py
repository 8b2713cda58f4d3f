"""One stage for all experiments; what each found is printed as a table at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.scene import Stage, stage
from tests.faults.suite import SUITE
from tests.faults.table import HEAD, figures, text
from tests.faults.trial import run

_ROWS: list[str] = []


@pytest.fixture(scope="package")
def place() -> Iterator[Stage]:
    """Servers, provider, receiver, crew."""
    with stage() as found:
        yield found


@pytest.fixture
def nothing_is_lost(place: Stage) -> Callable[[str], None]:
    """Runs an experiment; L, W and D must be 0, and nothing else may be wrong."""

    def once(name: str) -> None:
        outcome = run(SUITE[name], place.scene(name), seed=7)
        _ROWS.extend(map(text, figures(SUITE[name], [outcome])))
        assert not outcome.wrong, "\n".join(outcome.wrong)

    return once


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table."""
    if _ROWS:
        for row in ("", HEAD, *_ROWS):
            terminalreporter.write_line(row)
