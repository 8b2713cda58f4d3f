"""A provider that refuses our credential, and one that asks us to stay away for years: who calls, who waits."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.ops.alarms import QUICK, fires, resolves
from tests.stack import ENDED, Stack, running_stack, until
from tests.supervise.embedded import open_folder

pytestmark = pytest.mark.slow

_JOBS = 20
_ANSWER = {
    "choices": [{"message": {"content": '{"label": "calm"}'}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 1},
}


class _Lie(BaseHTTPRequestHandler):
    """Tells the first who asks to come back in thirty years, and answers all others."""

    protocol_version = "HTTP/1.1"
    asked: list[float]
    lied: threading.Event

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        lies = not self.lied.is_set()
        self.lied.set()
        self._send(429 if lies else 200, {} if lies else _ANSWER, {"retry-after": "999999999"} if lies else {})

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(payload)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def _lying() -> Iterator[int]:
    """The port where it listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Lie", (_Lie,), {"lied": threading.Event()})) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _started(stack: Stack) -> Stack:
    stack.start_api()
    stack.start_worker()
    stack.start_worker()
    return stack


@pytest.fixture
def stack() -> Iterator[Stack]:
    with open_folder() as folder, running_stack(folder, LANEWAY_METRICS_OPEN="true", **QUICK) as made:
        yield _started(made)


@pytest.fixture
def lied_to(tmp_path: Path) -> Iterator[Stack]:
    with _lying() as port, open_folder() as folder:
        file = tmp_path / "laneway.toml"
        file.write_text(f"""
[models.small]
ladder = [{{ provider = "main", model = "mini-1" }}]
[providers.main]
dialect = "openai"
base_url = "http://127.0.0.1:{port}/v1"
""")
        with running_stack(folder, LANEWAY_CONFIG=str(file)) as made:
            yield _started(made)


def _pool(stack: Stack) -> dict[str, Any]:
    (found,) = stack.client.get("/v1/pools").raise_for_status().json()["data"]
    return dict(found)


def _found_out(stack: Stack) -> None:
    """One job meets the refusal."""
    assert stack.ended(stack.submit("asks", {"text": "first"})["id"], 60)["error"]["code"] == "provider_auth"


def _submitted(stack: Stack) -> list[str]:
    return [stack.submit("asks", {"text": f"job {n}"})["id"] for n in range(_JOBS)]


def _standing(stack: Stack, jobs: list[str]) -> set[tuple[str, str | None]]:
    found = [stack.job(job) for job in jobs]
    return {(job["status"], job.get("reason")) for job in found}


def _all_succeed(stack: Stack, jobs: list[str], within_s: float) -> None:
    until(lambda: all(stack.job(job)["status"] in ENDED for job in jobs), within_s)
    assert {status for status, _ in _standing(stack, jobs)} == {"succeeded"}


def test_a_refused_credential_costs_one_job_and_the_others_wait_for_its_mending(stack: Stack) -> None:
    stack.provider.set_faults(error_rates={"insufficient_quota": 1})
    _found_out(stack)
    jobs = _submitted(stack)
    until(lambda: _standing(stack, jobs) == {("waiting", "provider_auth")})
    until(lambda: _pool(stack)["state"] == "open")
    pool = _pool(stack)
    assert pool["reason"] == "provider_auth" and pool["blocked_until"] is not None
    fires(stack, "system_fault:provider_auth:simulated")
    assert len(stack.provider.calls()) <= 3, "the first, and trials"
    stack.provider.reset_faults()
    _all_succeed(stack, jobs, 90)
    assert (_pool(stack)["state"], _pool(stack)["reason"]) == ("closed", None)


def test_an_operator_lets_them_go_and_the_alert_ends(stack: Stack) -> None:
    stack.provider.set_faults(error_rates={"insufficient_quota": 1})
    _found_out(stack)
    jobs = _submitted(stack)
    until(lambda: _standing(stack, jobs) == {("waiting", "provider_auth")})
    fires(stack, "system_fault:provider_auth:simulated")
    stack.provider.reset_faults()
    stack.client.post(f"/v1/pools/{_pool(stack)['id']}/resume", json={}).raise_for_status()
    _all_succeed(stack, jobs, 30)
    resolves(stack, "system_fault:provider_auth:simulated", 90)


def test_whose_credential_nobody_mends_fails_in_the_end() -> None:
    with open_folder() as folder, running_stack(folder, LANEWAY_GATEWAY__REFUSED_WAIT_S="4") as stack:
        _started(stack).provider.set_faults(error_rates={"insufficient_quota": 1})
        _found_out(stack)
        job = stack.submit("asks", {"text": "second"})["id"]
        until(lambda: stack.job(job)["status"] in ("waiting", "failed"))
        ended = stack.ended(job, 60)
        assert (ended["error"]["code"], ended["disposition"]) == ("provider_auth", "dead_letter")


def test_a_lie_of_years_holds_a_pool_for_a_minute_and_an_operator_ends_it(lied_to: Stack) -> None:
    stack = lied_to
    jobs = _submitted(stack)
    until(lambda: _pool(stack)["reason"] == "retry_after")
    until(lambda: not {("running", None), ("queued", None)} & _standing(stack, jobs))
    assert _pool(stack)["state"] == "open" and _pool(stack)["blocked_until"] is not None
    stack.client.post("/v1/pools/main/mini-1/resume", json={}).raise_for_status()
    _all_succeed(stack, jobs, 45)


def test_a_lie_of_years_ends_by_itself(lied_to: Stack) -> None:
    jobs = _submitted(lied_to)
    until(lambda: _pool(lied_to)["reason"] == "retry_after")
    _all_succeed(lied_to, jobs, 150)
