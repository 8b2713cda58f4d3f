"""Budgets of the configuration: held instead of refused, raised while all runs, and what is wrong with a wrong one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.stack import ROOT, Stack, running_stack, until
from tests.supervise.embedded import open_folder

FILE = """
[budgets.project]
day_usd = "{day}"
at_limit = "hold"
[budgets."workflow/spend-much"]
hour_usd = "0"
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The whole project may spend next to nothing, one workflow nothing at all."""
    with open_folder() as folder:
        (folder / "laneway.toml").write_text(FILE.format(day="0.000000001"))
        extra = {"LANEWAY_WORKFLOWS": "tests.flows.spending", "LANEWAY_CONFIG": str(folder / "laneway.toml")}
        with running_stack(folder, **extra) as made:
            made.start_worker()
            made.start_api()
            yield made


def test_jobs_are_held_until_the_file_raises_the_budget(stack: Stack) -> None:
    first = stack.submit("spend", {"text": "one"}, wait=30)
    assert first["status"] == "succeeded", first
    held = [stack.submit("spend", {"text": f"more {n}"}) for n in range(3)]
    until(lambda: all(_stands(stack, job["id"]) == ("waiting", "budget") for job in held))
    after_s = int(stack.client.get(f"/v1/jobs/{held[0]['id']}").headers["Retry-After"])
    now = datetime.now(UTC)
    turns = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert abs(after_s - min(3600, (turns - now).total_seconds())) < 60, "when the day turns, and once an hour"
    explained = stack.client.get(f"/v1/jobs/{held[0]['id']}", params={"include": "queue"}).json()["queue"]
    assert "budget" in explained["explanation"]
    assert stack.post("spend", {"text": "x"}, wait=20).status_code == 202
    (stack.folder / "laneway.toml").write_text(FILE.format(day="1"))
    for job in held:
        assert stack.ended(job["id"])["status"] == "succeeded"


def test_a_budget_of_nothing_refuses_at_once(stack: Stack) -> None:
    """Its workflow alone, and only what would start now: a later job may find another period."""
    refused = stack.post("spend-much", {"text": "x"})
    assert refused.status_code == 402 and "workflow spend-much" in refused.json()["detail"]
    later = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    assert stack.post("spend-much", {"text": "x"}, run_at=later).json()["status"] == "scheduled"


BAD = [
    ('[budgets.project]\nday_usd = "-1"', "budgets.project.day_usd", "greater than or equal to 0"),
    ('[budgets.project]\nweek_usd = "1"', "budgets.project.week_usd", "unknown key"),
    ('[budgets.team]\nday_usd = "1"', "budgets.team", "nobody's"),
    ('[budgets."workflow/nothing"]\nday_usd = "1"', "budgets.workflow/nothing", "there is no workflow 'nothing'"),
    ('[budgets.project]\nat_limit = "fail"', "budgets.project.at_limit", "'refuse' or 'hold'"),
    ('[budgets.project]\nday_usd = "0.0000000001"', "budgets.project.day_usd", "nine decimals"),
]


@pytest.mark.parametrize(("text", "key", "rule"), BAD)
def test_a_wrong_budget_is_refused_with_key_and_rule(tmp_path: Path, text: str, key: str, rule: str) -> None:
    (tmp_path / "laneway.toml").write_text(text)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LANEWAY_")}
    done = subprocess.run(
        [sys.executable, "-m", "app", "config", "check"],
        cwd=tmp_path, env={**plain, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert key in done.stderr and rule in done.stderr, done.stderr


def _stands(stack: Stack, job_id: str) -> tuple[str, str | None]:
    job = stack.job(job_id)
    return job["status"], job["reason"]
