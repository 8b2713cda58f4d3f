"""Laneway and its do-it-yourself peer are started and measured as the benchmarks do, with little work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench import latency, polls, through
from bench.contender import Running, all_ended
from bench.contenders import DIY, DIY_TUNED, LANEWAY
from bench.place import Ground, ground
from bench.process import ROOT
from bench.rounds import at_once, interleaved, sent, series

_JOBS = 30


@pytest.fixture(scope="module")
def servers() -> Iterator[Ground]:
    """Both servers."""
    with ground() as found:
        yield found


@pytest.fixture(scope="module", params=[LANEWAY, DIY_TUNED], ids=lambda one: one.name)
def running(request: pytest.FixtureRequest, servers: Ground) -> Iterator[Running]:
    """One of them, with a worker."""
    with request.param.start(servers.place(), 1) as found:
        yield found


def test_rounds_are_interleaved_and_become_series(servers: Ground) -> None:
    contenders = (DIY_TUNED, DIY)
    samples = interleaved(servers, contenders, polls.sample, rounds=1, count=_JOBS, workers=0)
    made = series(samples, contenders, "reads/s")
    assert [(one.who, len(one.values)) for one in made] == [(one.name, 1) for one in contenders]
    assert all(one.median > 0 for one in made)


def test_jobs_are_measured_to_their_recorded_end(running: Running) -> None:
    found = at_once(through.sample(running, _JOBS))
    assert found.figures["jobs/s"] > 0
    assert {"api", "worker", "postgres", "valkey", "load"} <= set(found.processor_ms)
    assert sum(found.processor_ms.values()) > 0


def test_a_job_that_did_not_end_well_is_noticed(running: Running) -> None:
    at_once(sent(running, running.request("noop", True), 1, 201))
    with pytest.raises(RuntimeError, match="ended well"):
        at_once(all_ended(running, 1_000_000))


def test_a_wait_sees_the_end(running: Running) -> None:
    found = at_once(latency.sample(running, 5))
    assert 0 < found.figures["p50"] <= found.figures["p95"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_benchmark_runs() -> None:
    words = ("-m", "bench", "--rounds", "1", "--share", "0.01")
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(f"\n### {letter}. " in done.stdout for letter in "abcdefgh")
