"""The command that shows the bars: the controller's line, those of its peers, and the count that is its exit code."""

from __future__ import annotations

import pytest

from bench.limits import __main__ as bars
from bench.limits.peers import PEERS


def test_bars_and_peers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["bench.limits", "--scenario", "burst", "--seeds", "1", "--peers"])
    assert bars.main() == 0
    first, *others, count = capsys.readouterr().out.splitlines()
    assert first.startswith("burst") and " holds " in first
    assert [line[:16].strip() for line in others] == list(PEERS)
    assert all("FAILS" in line or "holds" in line for line in others)
    assert count == "1 of 1"


def test_a_scenario_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["bench.limits", "--scenario", "nowhere"])
    with pytest.raises(SystemExit):
        bars.main()
