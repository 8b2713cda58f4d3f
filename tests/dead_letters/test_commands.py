"""`laneway jobs dead`, `replay` and `show`: once each in a terminal of its own, with other words in this process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner, Result

from app.cli import command_line
from tests.dead_letters.yard import Yard
from tests.stack import KEY, ROOT


def laneway(yard: Yard, *words: str) -> subprocess.CompletedProcess[str]:
    """What `laneway jobs ...` says."""
    environment = {**os.environ, "LANEWAY_URL": yard.stack.url, "LANEWAY_API_KEY": KEY}
    command = [sys.executable, "-m", "app", "jobs", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def told(yard: Yard, *words: str) -> str:
    """What a command says that must succeed."""
    done = laneway(yard, *words)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def here(yard: Yard, *words: str) -> Result:
    """The same in this process: a process of its own costs as much as ten requests."""
    environment = {"LANEWAY_URL": yard.stack.url, "LANEWAY_API_KEY": KEY, "COLUMNS": "400"}
    return CliRunner(env=environment).invoke(command_line(("jobs",)), ["jobs", *words])


def told_here(yard: Yard, *words: str) -> str:
    """What a command says in this process that must succeed."""
    done = here(yard, *words)
    assert (done.exit_code, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.fixture
def broken(yard: Yard) -> Yard:
    """Three dead letters of two causes, and a quarantined job."""
    yard.fail("a", "b")
    yard.fail("c", how="transient")
    yard.fail("d", how="input")
    return yard


def test_causes_are_listed(broken: Yard) -> None:
    lines = told(broken, "dead", "--filter", f"tag={broken.tag}").splitlines()
    assert re.sub(" +", " ", lines[0]) == " 2 breaks 1 in second: processing_broken (processing)"
    newest = broken.causes()["data"][0]["sample_job_ids"][0]
    assert lines[1].endswith(f", e.g. {newest}")
    assert re.fullmatch(r" +\S{10} \S{8} to \S{10} \S{8}, e.g. job_\w{26}", lines[1]), lines[1]
    assert lines[2].strip() == "it is broken"
    assert re.sub(" +", " ", lines[3]) == " 1 breaks 1 in second: transient_broken (transient)"
    assert lines[-1] == "3 dead letters, 2 causes"


def test_quarantine_and_filters(broken: Yard) -> None:
    tag = ("-f", f"tag={broken.tag}")
    assert told_here(broken, "dead", *tag, "--quarantine").splitlines()[-1] == "1 quarantined job, 1 cause"
    assert told_here(broken, "dead", *tag, "-f", "class=transient").splitlines()[-1] == "1 dead letter, 1 cause"
    assert told_here(broken, "dead", *tag, "-f", "since=2h", "-f", "code=processing_broken").splitlines()[-1] == (
        "2 dead letters, 1 cause"
    )
    assert told_here(broken, "dead", *tag, "-f", "until=2h") == "no dead letters\n"
    assert json.loads(told_here(broken, "dead", *tag, "--json"))["total"] == 3


def test_a_filter_that_means_nothing_is_refused(yard: Yard) -> None:
    for text in ("colour=red", "workflow", "workflow="):
        refused = here(yard, "dead", "--filter", text)
        assert refused.exit_code == 2
        assert "NAME=VALUE" in refused.stderr
    assert here(yard, "replay").exit_code == 2
    assert here(yard, "replay", "job_x", "-f", "tag=a").exit_code == 2
    empty = laneway(yard, "replay", "-f", "disposition=quarantine")
    assert (empty.returncode, empty.stderr.split(":")[0]) == (1, "input_invalid")


def test_a_dry_run_and_a_replay(broken: Yard) -> None:
    tag = ("-f", f"tag={broken.tag}")
    assert told_here(broken, "replay", *tag, "--dry-run").splitlines()[-1] == "Would replay 3 jobs, 2 causes"
    assert {job["status"] for job in broken.jobs().values()} == {"failed"}
    broken.mend()
    lines = told(broken, "replay", *tag).splitlines()
    assert re.fullmatch(r"op_\w{26}: 3 to replay", lines[0])
    assert lines[-1] == "3 of 3 replayed."
    broken.settled("succeeded", 3)
    assert told_here(broken, "dead", *tag) == "no dead letters\n"


def test_ids_in_another_version_or_from_the_start(broken: Yard) -> None:
    first, *_ = broken.causes()["data"][0]["sample_job_ids"]
    fine = broken.stack.submit("noop", {"n": 1}, wait=10)["id"]
    broken.mend()
    last = told_here(broken, "replay", first, fine, "--from-start").splitlines()[-1]
    assert last == "1 of 2 replayed, 1 skipped: no dead letters any more."
    assert broken.stack.ended(first)["status"] == "succeeded"
    told_here(broken, "replay", "-f", f"tag={broken.tag}", "-f", "workflow=breaks", "--version", "2")
    broken.settled("succeeded", 3)
    assert sorted(job["version"] for job in broken.jobs().values()) == ["1", "1", "2", "2"]


def test_show_tells_every_attempt(yard: Yard) -> None:
    (job,) = yard.fail("a")
    yard.completed(yard.replay().json())
    yard.settled("failed", 1)
    shown = [re.sub(" +", " ", line) for line in told(yard, "show", job).splitlines()]
    shown = [re.sub(r" [\d.]+ s ", " T ", line) for line in shown]
    assert "attempt 1 failed T processing_broken (processing) in second: it is broken" in shown, shown
    assert "attempt 2 failed T processing_broken (processing) in second: it is broken" in shown
    assert [line for line in shown if line.startswith("step ") and "|" not in line] == [
        "step first succeeded T tries 1",
        "step second failed T tries 1 processing_broken: it is broken",
    ]
