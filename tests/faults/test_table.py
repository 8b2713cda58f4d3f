"""What experiments found becomes lines that hold or FAIL, are kept as JSON, and are shown on the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.faults.record import keep, page
from tests.faults.table import figures, markdown, not_run, text
from tests.faults.trial import Experiment, Line, Outcome, Trial

ONE = Outcome(1, 100, 0, 0, 0, {0: [0.1, 0.2, 0.9]}, [], 5.0)


def _nothing(trial: Trial) -> None:
    """Never called here."""


EXPERIMENT = Experiment(_nothing, (Line("kill -9 a worker", "kill to step", 1.0, "arq 310 s"),))


def test_runs_are_added_and_hold() -> None:
    (line,) = figures(EXPERIMENT, [ONE, replace(ONE, seed=2, times={0: [0.5]})])
    assert (line.runs, line.jobs, line.lost, line.p50_s, line.max_s, line.holds) == (2, 200, 0, 0.5, 0.9, True)
    assert "| 2 | 200 | 0 | 0 | 0 | 0.50 / 0.90 / 0.90 |" in markdown([line]) and "holds" in markdown([line])
    assert "FAILS" not in text(line)


def test_what_is_wrong_fails_with_its_seed() -> None:
    (line,) = figures(EXPERIMENT, [ONE, replace(ONE, seed=9, lost=1, wrong=["L a-1: not stored"])])
    assert line.lost == 1 and not line.holds
    assert "**FAILS**" in markdown([line]) and "seed 9: L a-1: not stored" in markdown([line])
    assert text(line).endswith("FAILS")


def test_what_is_late_fails() -> None:
    (line,) = figures(EXPERIMENT, [replace(ONE, times={0: [1.01]})])
    assert not line.holds and "1.01 s at most, 1 s are allowed" in markdown([line])
    assert "above 1 s" in text(line)


def test_a_bound_may_be_for_the_p99_and_come_from_another_line() -> None:
    calm, busy = Line("calm", "start"), Line("busy", "start", p99=True, over=(2.0, 0))
    experiment = Experiment(_nothing, (calm, busy))
    times = [0.2] * 198 + [9.0]
    _, line = figures(experiment, [replace(ONE, times={0: [0.1] * 200, 1: times})])
    assert line.holds and line.bar_s == 0.2 and "| 0.2 (p99) |" in markdown([line])
    _, line = figures(experiment, [replace(ONE, times={0: [0.1] * 200, 1: [*times, 0.21]})])
    assert not line.holds and "0.21 s in 99 of 100, 0.2 s are allowed" in markdown([line])


def test_what_could_not_run_says_why() -> None:
    (line,) = not_run(EXPERIMENT, "no tmpfs may be mounted")
    assert "not run: no tmpfs may be mounted" in markdown([line])
    assert "not run: no tmpfs may be mounted" in text(line)


def test_the_record_is_the_page(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    assert "make faults-long" in page(path)
    keep("gone", "1 May.", figures(EXPERIMENT, [ONE]), ["gone"], path)
    keep("b", "2 May.", figures(EXPERIMENT, [ONE]), ["a", "b"], path)
    keep("a", "3 May.", figures(EXPERIMENT, [replace(ONE, jobs=7)]), ["a", "b"], path)
    shown = page(path)
    assert shown.index("| 7 |") < shown.index("| 100 |") and shown.count("kill -9") == 2
    assert "3 May." in shown and "1 May." not in shown
