"""`laneway demo` on a slice of the reviews: what it prints is what the API and the database say, and it cleans up."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app.cli.dataset import NAME
from tests.supervise.embedded import open_folder
from tests.supervise.running import left_behind, until

ROOT = Path(__file__).resolve().parents[2]
REVIEWS = 80
_OURS = "select id from jobs where metadata ? 'review'"


class Demo:
    """One run, in a folder of its own."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.data = folder / "demo"
        self._output = folder / f"said-{time.monotonic_ns()}"
        self._http = httpx.Client(trust_env=False)
        options = ["--data", str(self.data), "--dataset", str(ROOT / "data"), *words]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "demo", *options], stdout=output, stderr=subprocess.STDOUT, cwd=ROOT
            )

    @property
    def said(self) -> str:
        return self._output.read_text()

    def says(self, words: str, timeout_s: float = 60) -> None:
        """Wait for the words."""
        until(lambda: words in self.said or self.process.poll() is not None, timeout_s)
        assert words in self.said, self.said

    def found(self, pattern: str) -> tuple[str, ...]:
        """The groups of the one place where the pattern stands."""
        (groups,) = re.findall(pattern, self.said)
        return groups if isinstance(groups, tuple) else (groups,)

    def numbers(self, pattern: str) -> list[int]:
        return [int(text.replace(",", "")) for text in self.found(pattern)]

    def get(self, path: str, **query: Any) -> Any:
        """What the API answers with the printed key."""
        (key,), (url,) = self.found(r"API key +(lw_live_\w+)"), self.found(r"   API  (http://\S+)")
        response = self._http.get(url + path, params=query, headers={"Authorization": f"Bearer {key}"})
        assert response.status_code == 200, response.text
        return response.json()

    def close(self) -> None:
        """End it if it still runs."""
        self._http.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def sql(self, statement: str) -> list[asyncpg.Record]:
        url = json.loads((self.data / "up.json").read_text())["database_url"]
        return asyncio.run(_fetch(url, statement))


@contextmanager
def running(folder: Path, *words: str) -> Iterator[Demo]:
    """A demo that is killed if it still runs at the end; then nothing of it may be left."""
    run = Demo(folder, *words)
    try:
        yield run
    finally:
        run.close()
        until(lambda: not left_behind(folder))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as path:
        yield path


@pytest.fixture(scope="module")
def demo(folder: Path) -> Iterator[Demo]:
    """A demo that has finished and serves on."""
    with running(folder, "--reviews", str(REVIEWS), "--keep") as run:
        run.says("Serving. Ctrl-C stops.")
        assert "WRONG" not in run.said
        yield run
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(30) == 0
        assert left_behind(folder) == []


def test_counts_tokens_and_cost_are_those_of_the_database(demo: Demo) -> None:
    (jobs,) = demo.sql(f"select count(*) n, count(*) filter (where status = 'succeeded') ok from jobs j "
                       f"where id in ({_OURS})")  # fmt: skip
    (calls,) = demo.sql(f"select count(*) n, sum(input_tokens) tokens_in, sum(output_tokens) tokens_out, "
                        f"sum(cost_nanos) nanos from calls where job_id in ({_OURS})")  # fmt: skip
    assert (jobs["n"], jobs["ok"]) == (REVIEWS, REVIEWS)
    assert demo.found(r"states +(.*)") == (f"{REVIEWS} succeeded",)
    assert demo.numbers(r"by the model \(([\d,]+) calls\)") == [calls["n"]]
    assert demo.numbers(r"tokens +([\d,]+) in, ([\d,]+) out") == [calls["tokens_in"], calls["tokens_out"]]
    assert Decimal(demo.found(r"cost +\$(\S+)")[0]) == Decimal(int(calls["nanos"])) / 10**9 > 0


def test_waits_and_rate_are_those_of_the_database(demo: Demo) -> None:
    (row,) = demo.sql(f"select max(extract(epoch from ended_at - created_at)) longest, "
                      f"percentile_disc(0.5) within group (order by extract(epoch from ended_at - created_at)) middle, "
                      f"extract(epoch from max(ended_at) - min(created_at)) span "
                      f"from jobs where id in ({_OURS})")  # fmt: skip
    middle, longest = (float(text) for text in demo.found(r"p50 (\S+) s .* p99 (\S+) s from submit"))
    assert middle == pytest.approx(float(row["middle"]), abs=0.006)
    assert longest == pytest.approx(float(row["longest"]), abs=0.006)
    assert demo.numbers(r"rate +([\d,]+) items/s") == [pytest.approx(REVIEWS / float(row["span"]), abs=0.51)]


def test_who_decided_and_how_well_is_what_the_outputs_say(demo: Demo) -> None:
    lines = (ROOT / "data" / NAME).read_text().splitlines()[:REVIEWS]
    rated = {name: float(rating) for name, rating, _ in (line.split("\t") for line in lines)}
    page = demo.get("/v1/jobs", workflow="review-sentiment", limit=200)["data"]
    said = {}
    for job in page:
        if "review" in job["metadata"]:
            said[job["metadata"]["review"]] = demo.get(f"/v1/jobs/{job['id']}/output")
    assert said.keys() == rated.keys()
    people = {name: "neutral" if -0.5 < mean < 0.5 else "positive" if mean > 0 else "negative"
              for name, mean in rated.items()}  # fmt: skip
    for who, row in (("local", "word list"), ("model", "model")):
        names = [name for name in said if said[name]["decided_by"] == who]
        same = sum(said[name]["label"] == people[name] for name in names)
        assert demo.numbers(rf"\n +{row} .*\(([\d,]+) of ([\d,]+)\)") == [same, len(names)]
        assert names
    assert demo.numbers(r"decided +([\d,]+) by the local word list, ([\d,]+) by the model") == [
        sum(output["decided_by"] == who for output in said.values()) for who in ("local", "model")
    ]


def test_the_three_modes_are_told_as_they_were(demo: Demo) -> None:
    assert "201 with the ended job: positive" in demo.said
    polls, unchanged = demo.numbers(r"(\d+) polls with its ETag, (\d+) of them 304")
    assert 0 < unchanged < polls
    assert "signature verified by the standardwebhooks library; refused for a changed body" in demo.said
    rows = demo.sql("select status, count(*) n from deliveries group by status")
    assert [tuple(row) for row in rows] == [("succeeded", 1)]


def test_the_timeline_is_that_of_the_job(demo: Demo) -> None:
    (job_id,) = demo.found(r"Timeline of (job_\w+)")
    trace = demo.get(f"/v1/jobs/{job_id}/trace")
    assert f"trace {trace['trace_id']}" in demo.said
    (call,) = [span for span in trace["spans"] if span["kind"] == "call"]
    tokens = f"{call['attributes']['input_tokens']}+{call['attributes']['output_tokens']} tokens"
    assert re.search(rf"call {call['name']} .*{re.escape(tokens)} \${call['attributes']['cost_usd']}", demo.said)
    for span in trace["spans"]:
        shown = span["name"] if span["kind"] == "attempt" else f"{span['kind']} {span['name']}"
        assert re.search(rf"\n +{re.escape(shown)} +\|", demo.said), span
    (shown,) = demo.found(r"Its trace +(http\S+)")
    assert shown.endswith(f"/v1/jobs/{job_id}/trace")


def test_a_second_demo_in_the_same_folder_is_refused_and_harms_nothing(demo: Demo, folder: Path) -> None:
    second = Demo(folder, "--reviews", "1")
    assert second.process.wait(30) == 1
    second.close()
    assert "stop it first" in second.said
    assert demo.process.poll() is None
    assert demo.get("/v1/jobs", limit=1)["data"]


def test_killed_it_leaves_nothing_behind() -> None:
    with open_folder() as folder:
        with running(folder, "--reviews", "50") as run:
            run.says("1. A job")
            assert len(left_behind(folder)) > 5
            run.process.kill()
        assert left_behind(folder) == []


def test_a_port_in_use_is_said_and_nothing_is_left(demo: Demo) -> None:
    (port,) = demo.found(r"   API  http://127.0.0.1:(\d+)")
    with open_folder() as folder, running(folder, "--reviews", "1", "--port", port) as run:
        assert run.process.wait(30) == 1
        assert f"port {port}" in run.said and "Choose another with --port" in run.said
        assert left_behind(folder) == []


async def _fetch(url: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()
