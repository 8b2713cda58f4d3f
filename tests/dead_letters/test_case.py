"""`laneway jobs test`: a dead letter becomes a test that is red for the bug, and green once the code is mended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stack import ENDED, KEY, ROOT, Stack, running_stack, until
from tests.supervise.embedded import open_folder

pytestmark = pytest.mark.slow

SHOP = Path(__file__).with_name("shop.py")
TEXT = "total: 12"
# By workflow: its error, what the author changes in shop.py, and how the job's test says that it fails.
CASES: dict[str, tuple[str, tuple[tuple[str, str], ...], str]] = {
    "shop-total": ("workflow_error", (('text.split(":")[2]', 'text.split(":")[1]'),), "at parse: IndexError"),
    "shop-body": ("workflow_error", (('{"page": page}["total"]', '{"page": page}["page"]'),), "workflow: KeyError"),
    "shop-label": ("output_invalid", (('if "\\x00" not in value', "if not value"),), "at label: the answer did not"),
    "shop-stock": (
        "stock_away",
        (
            ("    return await ctx.step(\"stock\"", "    try:\n        return await ctx.step(\"stock\""),
            ('backoff="10ms"))', 'backoff="10ms"))\n    except TransientError:\n        return 0'),
        ),
        "transient stock_away at stock: the stock is away",
    ),
    "shop-kills": ("worker_lost", (("    os.kill(os.getpid(), 9)\n", ""),), "its process ended with signal 9"),
}  # fmt: skip


class Author:
    """Somebody with a folder, an editor and a terminal."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        shutil.copy(SHOP, folder / "shop.py")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LANEWAY_")},
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANEWAY_WORKFLOWS": "shop",
            "LANEWAY_URL": stack.url,
            "LANEWAY_API_KEY": KEY,
        }

    def laneway(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What the command line says."""
        return self._run("-m", "app", "jobs", "test", *words)

    def pytest(self, file: str) -> subprocess.CompletedProcess[str]:
        """What pytest says; nothing of the service is there for it."""
        return self._run("-m", "pytest", "-q", "-p", "no:cacheprovider", file)

    def change(self, changes: tuple[tuple[str, str], ...]) -> None:
        """Edit shop.py."""
        shop = self.folder / "shop.py"
        for old, new in changes:
            assert shop.read_text().count(old) == 1, old
            shop.write_text(shop.read_text().replace(old, new))

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="module")
def service() -> Iterator[Stack]:
    """An API and a worker with the buggy shop."""
    with open_folder() as folder:
        shutil.copy(SHOP, folder / "shop.py")
        extra = {
            "LANEWAY_WORKFLOWS": "shop,tests.flows.catalogue",
            "PYTHONPATH": f"{folder}:{ROOT}",
            "LANEWAY_LEASE_S": "0.5",
        }
        with running_stack(folder, **extra) as made:
            made.start_api()
            made.start_worker()
            yield made


def failed(stack: Stack, workflow: str) -> dict[str, Any]:
    """A job that ended as its bug wants; workers that died of it were replaced."""
    job = stack.submit(workflow, {"text": TEXT, "url": f"{stack.url}/livez"})["id"]

    def ended() -> bool:
        if stack.processes[-1].process.poll() is not None:
            stack.start_worker()
        return stack.job(job)["status"] in ENDED

    until(ended, 60)
    return stack.job(job)


@pytest.mark.parametrize("workflow", CASES)
def test_red_for_the_bug_green_when_it_is_mended(service: Stack, tmp_path: Path, workflow: str) -> None:
    code, changes, told = CASES[workflow]
    job = failed(service, workflow)
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    author = Author(service, tmp_path)
    written = author.laneway(job["id"])
    assert written.returncode == 0, written.stderr
    file = f"test_{job['id']}.py"
    assert f"Wrote {file} and test_{job['id']}.json" in written.stdout
    assert "look for secrets" in written.stdout
    for _ in range(2):
        red = author.pytest(file)
        assert red.returncode == 1, red.stdout + red.stderr
        assert "JobFailed" in red.stdout and told in red.stdout, red.stdout
    author.change(changes)
    green = author.pytest(file)
    assert green.returncode == 0, green.stdout
    assert "1 passed" in green.stdout


def test_the_file_holds_what_the_job_recorded(service: Stack, tmp_path: Path) -> None:
    job = failed(service, "shop-label")
    (tmp_path / "tests").mkdir()
    assert Author(service, tmp_path).laneway(job["id"]).returncode == 0
    record = json.loads((tmp_path / "tests" / f"test_{job['id']}.json").read_text())
    assert record["input"] == job["input"]
    assert [(step["name"], step["status"]) for step in record["steps"]] == [("first", "succeeded"), ("label", "failed")]
    assert [call["step"] for call in record["calls"]] == ["first", "label", "label", "label"]
    assert all(call["text"] for call in record["calls"])


def test_files_are_not_written_over(service: Stack, tmp_path: Path) -> None:
    job, author = failed(service, "shop-total"), Author(service, tmp_path)
    kept = tmp_path / "mine.py"
    kept.write_text("mine")
    refused = author.laneway(job["id"], "--out", "mine.py")
    assert (refused.returncode, kept.read_text()) == (1, "mine")
    assert "--force" in refused.stderr
    assert author.laneway(job["id"], "--out", "mine.py", "--force").returncode == 0
    assert "rerun(shop_total" in kept.read_text()


def test_what_makes_no_failing_test_is_refused(service: Stack, tmp_path: Path) -> None:
    author = Author(service, tmp_path)
    fine = service.submit("noop", {"n": 1}, wait=10)["id"]
    assert "only a failed one" in author.laneway(fine).stderr
    elsewhere = failed_elsewhere(service)
    assert "LANEWAY_WORKFLOWS names the modules" in author.laneway(elsewhere).stderr
    assert "not_found" in author.laneway("job_01k7zq0m8se9r8f2t4d6h8jkmn").stderr
    assert list(tmp_path.glob("test_*")) == []


def failed_elsewhere(stack: Stack) -> str:
    """A failed job whose workflow the author does not have."""
    return str(stack.submit("wrong", {"kind": "processing"}, wait=20)["id"])
