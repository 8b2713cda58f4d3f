"""The process layout of the compose file at work: lanes apart, an API that dies, an API that is told to stop."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.deploy.conftest import NOTICE_S, Layout
from tests.deploy.test_image import health_check
from tests.stack import ENDED, KEY, bearer, free_port, until


class Load:
    """A client that submits without a pause; `tries` above 1 sends again what got no answer, under the same key."""

    def __init__(self, layout: Layout, tries: int) -> None:
        self._layout, self._tries = layout, tries
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.jobs: list[str] = []
        self.broken: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with self._layout.client() as client:
            while not self._stop.is_set():
                self._submit(client, uuid4().hex)

    def _submit(self, client: httpx.Client, key: str) -> None:
        for _ in range(self._tries):
            try:
                body = {"input": {"n": 1}}
                answer = client.post("/v1/workflows/noop/jobs", json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError as error:
                self.broken.append(repr(error))
                continue
            if answer.status_code == 503:
                self.broken.append(answer.text)
                continue
            assert answer.status_code == 202, answer.text
            self.jobs.append(answer.json()["id"])
            return
        self.jobs.append("lost")


@contextmanager
def load(layout: Layout, tries: int) -> Iterator[Load]:
    """Requests all the time; none of them may be lost."""
    made = Load(layout, tries)
    made.start()
    try:
        until(lambda: len(made.jobs) > 5)
        yield made
        count = len(made.jobs)
        until(lambda: len(made.jobs) > count + 5)
    finally:
        made.stop()


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """The job at its end."""
    until(lambda: client.get(f"/v1/jobs/{job_id}").json()["status"] in ENDED)
    return dict(client.get(f"/v1/jobs/{job_id}").json())


def test_each_lane_has_its_worker_and_the_webhook_is_delivered(layout: Layout, tmp_path: Path) -> None:
    url = layout.stack.hooks.answer(f"/{uuid4().hex}")
    with layout.client() as client:
        for lane, workers in (("standard", "interactive,standard"), ("bulk", "bulk")):
            given = {"journal": str(tmp_path / lane), "name": lane, "steps": 1}
            body = {"input": given, "lane": lane, "webhook": {"url": url}}
            job = ended(client, client.post("/v1/workflows/marks/jobs", json=body).json()["id"])
            assert job["status"] == "succeeded"
            assert (tmp_path / lane).read_text().split()[-1] == str(layout.processes[workers].pid)
            until(lambda at=job["urls"]["self"]: client.get(at).json()["webhook_delivery"] == "succeeded")


def test_the_images_health_check_tells_a_ready_api_from_none(layout: Layout) -> None:
    def code(port: int) -> int:
        return subprocess.run(health_check(port), timeout=20, capture_output=True, check=False).returncode

    assert code(layout.ports["api-1"]) == 0
    assert code(free_port()) != 0


def test_a_killed_api_is_taken_out_and_nothing_is_lost(layout: Layout) -> None:
    with load(layout, tries=5) as running:
        layout.processes["api-1"].kill()
        layout.in_rotation("api-2")
        count = len(running.jobs)
        until(lambda: len(running.jobs) > count + 20)
        layout.start_api("api-1")
        layout.in_rotation("api-1", "api-2")
    assert "lost" not in running.jobs and len(set(running.jobs)) == len(running.jobs)
    with layout.client() as client:
        assert {ended(client, job)["status"] for job in running.jobs} == {"succeeded"}


def test_an_api_that_is_told_to_stop_is_left_before_it_stops(layout: Layout) -> None:
    """No client notices: readiness goes first, and until the notice is over everything is still answered."""
    process, url = layout.processes["api-2"], f"http://127.0.0.1:{layout.ports['api-2']}"
    with load(layout, tries=1) as running, httpx.Client(base_url=url, headers=bearer(KEY), trust_env=False) as direct:
        told = time.monotonic()
        process.process.send_signal(signal.SIGTERM)
        until(lambda: direct.get("/readyz").json()["status"] == "draining", 1)
        assert subprocess.run(health_check(layout.ports["api-2"]), capture_output=True, check=False).returncode != 0
        assert direct.get("/readyz").status_code == 503 and direct.get("/livez").status_code == 200
        late = direct.post("/v1/workflows/noop/jobs", json={"input": {"n": 2}}, headers={"Prefer": "wait=1"})
        assert late.status_code == 201, "accepted, and waited for, while others go elsewhere"
        layout.in_rotation("api-1")
        assert process.process.wait(20) == 0
        assert NOTICE_S <= time.monotonic() - told < NOTICE_S + 10
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/livez", trust_env=False)
    assert running.broken == [] and "lost" not in running.jobs
    layout.start_api("api-2")
    layout.in_rotation("api-1", "api-2")


def test_a_kept_connection_is_told_that_it_ends(layout: Layout) -> None:
    """Every answer up to the last comes, and that one says that it is the last."""
    process, url = layout.processes["api-2"], f"http://127.0.0.1:{layout.ports['api-2']}"
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert client.get("/livez").status_code == 200
        process.process.send_signal(signal.SIGTERM)
        while "close" not in (answer := client.get("/livez")).headers.get("connection", ""):
            assert answer.status_code == 200
            time.sleep(0.02)
    assert process.process.wait(20) == 0
    layout.start_api("api-2")
    layout.in_rotation("api-1", "api-2")


def test_a_second_signal_ends_the_notice(layout: Layout) -> None:
    layout.processes["api-2"].kill()
    layout.in_rotation("api-1")
    layout.start_api("api-2", notice_s=60)
    layout.in_rotation("api-1", "api-2")
    process = layout.processes["api-2"].process
    process.send_signal(signal.SIGTERM)
    layout.in_rotation("api-1")
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    layout.start_api("api-2")
    layout.in_rotation("api-1", "api-2")
