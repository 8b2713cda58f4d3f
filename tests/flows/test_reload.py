"""A new configuration in running processes: under load, by SIGHUP, refused and mended; nothing is lost by it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from app.domain import ids
from tests.loadtest.provider_process import ProviderProcess, running_provider
from tests.ops.alarms import QUICK, fires, resolves, standing
from tests.stack import ENDED, ROOT, Process, Stack, running_stack, until
from tests.supervise.embedded import open_folder
from tests.supervise.running import take_terminal, terminal

_KEY = "sk-right"


class Site:
    """A stack with its configuration file, and a second provider that wants a key."""

    def __init__(self, stack: Stack, folder: Path, locked: ProviderProcess) -> None:
        self.stack, self.locked = stack, locked
        self.path, self.key = folder / "laneway.toml", folder / "key"
        self._writes = 0

    def write(self, provider: str = "main", more: str = "") -> None:
        """A file whose alias `small` is a model of that provider; no two are the same."""
        self._writes += 1
        self.path.write_text(f"""{more}
[alerts]
dead_letters = {self._writes}
[models.small]
ladder = [{{ provider = "{provider}", model = "mini-1" }}]
[providers.main]
dialect = "openai"
base_url = "{self.stack.provider.base_url}"
[providers.other]
dialect = "openai"
base_url = "{self.locked.base_url}"
api_key_file = "{self.key}"
""")

    def told(self, event: str) -> list[int]:
        """How often each process has written such a line."""
        return [_count(process, event) for process in self.stack.processes]

    def taken(self, before: list[int]) -> None:
        """Wait until each process has taken another configuration since."""
        until(lambda: all(now > then for now, then in zip(self.told("configuration taken"), before, strict=True)))

    def change(self, provider: str = "main", more: str = "") -> None:
        """Write another file, and wait until all have taken it."""
        before = self.told("configuration taken")
        self.write(provider, more)
        self.taken(before)

    def hang_up(self) -> None:
        for process in self.stack.processes:
            process.process.send_signal(signal.SIGHUP)


def _count(process: Process, event: str) -> int:
    lines = [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]
    return sum(line["event"] == event for line in lines)


@pytest.fixture(scope="module")
def made() -> Iterator[Site]:
    with open_folder() as folder, running_provider("--api-key", _KEY) as locked:
        extra = {**QUICK, "LANEWAY_CONFIG": str(folder / "laneway.toml")}
        with running_stack(folder, **extra) as stack:
            site = Site(stack, folder, locked)
            site.key.write_text(_KEY)
            site.write()
            stack.start_worker()
            stack.start_worker("standard")
            stack.start_api()
            yield site


@pytest.fixture
def site(made: Site) -> Iterator[Site]:
    """By the first file, as each test leaves it."""
    made.stack.provider.clear_calls()
    made.locked.clear_calls()
    yield made
    made.stack.provider.reset_faults()
    made.change()


def _providers(site: Site) -> list[str]:
    """Those that a job asks which is made now."""
    return _asked(site, site.stack.submit("asks", {"text": "who answers?"}, wait=20)["id"])


def _asked(site: Site, job_id: str) -> list[str]:
    """The providers that a job asked."""
    rows = site.stack.sql("select provider from calls where job_id = $1 order by id", ids.read("job", job_id))
    return [row["provider"] for row in rows]


def test_targets_change_under_load_and_no_job_is_lost(site: Site) -> None:
    """Calls in the air end with the target they went to; those that begin later go to the new one."""
    stack = site.stack
    stack.provider.set_faults(latency="fixed(700)")
    early = [stack.submit("asks", {"text": f"early {n}"})["id"] for n in range(40)]
    until(lambda: len(stack.provider.calls()) > 0)
    site.change("other")
    late = [stack.submit("asks", {"text": f"late {n}"})["id"] for n in range(20)]
    until(lambda: all(stack.job(job)["status"] in ENDED for job in early + late), 60)
    jobs = [stack.job(job) for job in early + late]
    assert {(job["status"], job["attempt"]) for job in jobs} == {("succeeded", 1)}
    assert [provider for job in late for provider in _asked(site, job)] == ["other"] * 20
    assert "main" in _asked(site, early[0])
    assert len(stack.provider.calls()) + len(site.locked.calls()) == 60, "each question was asked once"


def test_a_bad_file_changes_nothing_and_is_told_until_it_is_mended(site: Site) -> None:
    key = f"configuration:{socket.gethostname()}"
    site.write("other", more='[lanes.bulk]\nslots = "sk-very-secret"')
    detail = fires(site.stack, key)["detail"]
    assert "lanes.bulk.slots" in detail and "valid integer" in detail and "sk-very-secret" not in detail
    assert all(count > 0 for count in site.told("configuration refused"))
    assert _providers(site) == ["main"]
    site.hang_up()
    site.change("other")
    assert _providers(site) == ["other"]
    resolves(site.stack, key)


def test_a_file_that_takes_away_what_jobs_need_changes_nothing(site: Site) -> None:
    """Emptied while it was saved, without providers, without an alias that a workflow names: all are valid files."""
    key, stack = f"configuration:taken_away:{socket.gethostname()}", site.stack
    site.change("other")
    whole = site.path.read_text()
    for text, says in (
        ("", "cut off in line 1"),
        ("lease_s = 4\n", "providers: "),
        (whole.replace("[models.small]", "[models.spare]"), "models.small: "),
    ):
        site.path.write_text(text)
        until(partial(_says, stack, key, says))
        assert "restart" in standing(stack)[key]["detail"]
        assert _providers(site) == ["other"]
    site.change("other")
    resolves(stack, key)


def _says(stack: Stack, key: str, words: str) -> bool:
    """Whether this alert stands and says so."""
    return key in (found := standing(stack)) and words in found[key]["detail"]


def test_what_needs_a_restart_is_named(site: Site) -> None:
    key = f"configuration:restart:{socket.gethostname()}"
    site.change("other", more="pool_size = 9\n[http]\nmax_wait_s = 30\n")
    assert fires(site.stack, key)["detail"].endswith("pool_size, http.max_wait_s")
    assert _providers(site) == ["other"], "the rest of the file is in force"
    site.write("other")
    resolves(site.stack, key)


def test_hangup_has_the_file_read_though_nothing_shows_that_it_changed(site: Site) -> None:
    before, seen = site.told("configuration taken"), site.path.stat()
    text = site.path.read_text()
    site.path.write_text(text.replace("mini-1", "mini-9"))
    os.utime(site.path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    site.hang_up()
    site.taken(before)
    site.stack.submit("asks", {"text": "which model?"}, wait=20)
    assert site.stack.provider.calls()[-1]["model"] == "mini-9"
    assert [process.process.poll() for process in site.stack.processes] == [None] * 3


def test_a_key_is_rotated_in_its_file(site: Site) -> None:
    site.change("other")
    before = site.told("configuration taken")
    site.key.write_text("sk-wrong")
    site.taken(before)
    refused = site.stack.submit("asks", {"text": "x"}, wait=20)
    assert refused["error"]["code"] == "provider_auth"
    before = site.told("configuration taken")
    site.key.write_text(_KEY)
    site.taken(before)
    assert site.stack.submit("asks", {"text": "x"}, wait=20)["status"] == "succeeded"
    assert _KEY not in "".join(process.log.read_text() for process in site.stack.processes)


def test_a_pool_is_given_a_limit(site: Site) -> None:
    """Eight calls of 1.5 s: without it the controller, which begins with two a second, has three and more in flight."""
    site.change(more='[providers.main.pools.mini]\nmodels = ["mini-1"]\nmax_in_flight = 2\n')
    stack = site.stack
    stack.provider.set_faults(latency="fixed(1500)")
    jobs = [stack.submit("asks", {"text": f"limited {n}"})["id"] for n in range(8)]
    until(lambda: all(stack.job(job)["status"] == "succeeded" for job in jobs), 60)
    assert stack.provider.stats()["max_in_flight_seen"] == 2


def test_slots_and_hours_of_a_lane(site: Site) -> None:
    opens = datetime.now(UTC) + timedelta(hours=6)
    site.change(more=f'[lanes.bulk]\nslots = 3\noff_peak = "{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M} UTC"\n')
    until(lambda: _slots(site.stack, "bulk") == 3)
    job = site.stack.submit("noop", {"n": 1}, lane="bulk")
    assert (job["status"], job["reason"]) == ("scheduled", "off_peak")
    site.change()
    until(lambda: _slots(site.stack, "bulk") == 200)
    assert site.stack.submit("noop", {"n": 2}, lane="bulk", wait=20)["status"] == "succeeded"


def _alive(stack: Stack, role: str) -> int:
    return int(stack.client.get("/v1/status").json()["processes"][role])


def _slots(stack: Stack, lane: str) -> int:
    found = {one["lane"]: one for one in stack.client.get("/v1/status").json()["lanes"]}
    return int(found[lane]["slots"])


@pytest.mark.parametrize("words", [["work"], ["serve", "--port", "0"]])
def test_the_end_of_its_terminal_ends_a_process_in_order(site: Site, words: list[str]) -> None:
    """It sends the same signal as who wants the file to be read."""
    alive = _alive(site.stack, words[0])
    log = site.path.with_name(f"{words[0]}-terminal.log")
    with terminal() as (controller, device), log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", *words],
            cwd=ROOT, env=site.stack.environment, stdin=device, stdout=output, stderr=output, preexec_fn=take_terminal,
        )  # fmt: skip
        try:
            until(lambda: _alive(site.stack, words[0]) == alive + 1)
            process.send_signal(signal.SIGHUP)
            time.sleep(1)
            assert process.poll() is None
            os.close(controller)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
