"""The comparison under fault, small: who is compared runs its jobs, and what it came to becomes a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.faults_page import Row, page
from bench.napping import LANEWAY, PEERS, Peer, site
from bench.place import Ground, ground
from tests.stack import until


@pytest.fixture(scope="module")
def servers() -> Iterator[Ground]:
    """Both servers."""
    with ground() as found:
        yield found


@pytest.mark.parametrize(
    "peer",
    [pytest.param(LANEWAY, marks=pytest.mark.slow, id=LANEWAY.name), pytest.param(PEERS[1], id=PEERS[1].name)],
)
def test_jobs_note_their_begin_and_end(servers: Ground, peer: Peer) -> None:
    with site(peer, servers.place()) as here:
        here.enqueue(3, 0.01)
        worker = here.worker()
        until(lambda: len(here.marks("end")) == 3)
        assert {(mark.n, mark.pid) for mark in here.marks("begin")} == {(n, worker) for n in range(3)}


def test_the_record_is_the_page(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    assert "make faults-long" in page(path)
    rows = [Row("Laneway", "as it is", [1.0, 2.0, 3.0], 0, 0, 3), Row("a peer", "stock", [40.0], 9, 1000, 0)]
    path.write_text(json.dumps({"facts": "one machine", "rows": [asdict(row) for row in rows]}))
    shown = page(path)
    assert "| Laneway | as it is | 2.0 / 3.0 | 0 of 1000 | 3 of 3 |" in shown
    assert "| a peer | stock | 40.0 / 40.0, 9 of 10 never | 1000 of 1000 | 0 of 3 |" in shown
    assert "one machine" in shown
