"""Alerts: each fires once and resolves once, whichever of all processes looks."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.ops.alarms import QUICK, fires, once_each, resolves, standing
from tests.stack import Process, Stack, running_stack, until
from tests.supervise.embedded import open_folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that all processes read."""
    path = tmp_path_factory.mktemp("site") / "laneway.toml"
    path.write_text("pool_size = 8\n")
    return path


@pytest.fixture(scope="module")
def crew(config: Path) -> Iterator[Stack]:
    """Two workers and an API that all look; a lease that outlasts a freeze."""
    limits = {"DEAD_LETTERS": "3", "QUARANTINE": "3", "WINDOW_S": "5"}
    extra = {**QUICK, **{f"LANEWAY_ALERTS__{name}": value for name, value in limits.items()}}
    extra |= {"LANEWAY_LEASE_S": "30", "LANEWAY_CONFIG": str(config)}
    with open_folder() as folder, running_stack(folder, **extra) as made:
        made.start_worker("standard,delivery")
        made.start_worker("interactive")
        made.start_api()
        until(lambda: made.client.get("/v1/status").json()["processes"]["work"] == 2)
        yield made


def frozen(process: Process) -> None:
    process.process.send_signal(signal.SIGSTOP)


def test_due_work_that_nobody_claims_while_slots_are_free(crew: Stack) -> None:
    worker = crew.processes[0]
    assert crew.submit("noop", {"n": 1}, wait=20)["status"] == "succeeded"
    until(lambda: _slots(crew, "standard") == 100)
    frozen(worker)
    job = crew.submit("noop", {"n": 2})
    alert = fires(crew, "unclaimed:standard")
    assert (alert["kind"], alert["since"] < alert["fired_at"]) == ("unclaimed", True)
    assert "100 of 100 slots are free" in alert["detail"]
    assert set(standing(crew)) == {"unclaimed:standard"}
    worker.process.send_signal(signal.SIGCONT)
    assert crew.ended(job["id"])["status"] == "succeeded"
    resolves(crew, "unclaimed:standard")
    once_each("unclaimed:standard", crew)


def test_webhooks_that_nobody_sends_while_slots_are_free(crew: Stack) -> None:
    worker = crew.processes[0]
    job = crew.submit("noop-fast", {"n": 1}, run_at=_soon(), webhook={"url": crew.hooks.answer("/idle")})
    until(lambda: _slots(crew, "delivery") == 50)
    frozen(worker)
    assert crew.ended(job["id"])["status"] == "succeeded"
    assert "50 of 50 slots are free" in fires(crew, "unclaimed:delivery")["detail"]
    worker.process.send_signal(signal.SIGCONT)
    until(lambda: crew.job(job["id"])["webhook_delivery"] == "succeeded")
    resolves(crew, "unclaimed:delivery")
    once_each("unclaimed:delivery", crew)


def test_webhooks_that_wait_for_a_slow_receiver_are_no_reason(crew: Stack) -> None:
    """It may have ten attempts at once; the others wait, with slots free, and that is meant so."""
    url = crew.hooks.answer("/slow", {"delay_s": 3})
    jobs = [crew.submit("noop", {"n": n}, webhook={"url": url}) for n in range(15)]
    until(lambda: all(crew.job(job["id"])["status"] == "succeeded" for job in jobs))
    for _ in range(10):
        assert standing(crew) == {}
        time.sleep(0.2)
    until(lambda: all(crew.job(job["id"])["webhook_delivery"] == "succeeded" for job in jobs))


def _soon() -> str:
    return (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat()


def test_bad_input_that_comes_in_often(crew: Stack) -> None:
    _grows(crew, "input", "quarantine:jobs")


def test_jobs_that_end_as_dead_letters(crew: Stack) -> None:
    _grows(crew, "processing", "dead_letters:jobs")


def _grows(stack: Stack, kind: str, key: str) -> None:
    """Two are a mishap, three are too many; it stands until they are out of the window."""
    for _ in range(2):
        stack.submit("wrong", {"kind": kind}, wait=20)
    time.sleep(1.5)
    assert key not in standing(stack)
    stack.submit("wrong", {"kind": kind}, wait=20)
    assert fires(stack, key)["detail"] == "3 jobs within 5 s"
    resolves(stack, key)
    once_each(key, stack)


def test_jobs_that_the_service_cannot_go_on_with(crew: Stack) -> None:
    """A worker with other code serves the lane; they wait for one with theirs."""
    other = crew.start_worker("bulk", LANEWAY_WORKFLOWS="tests.flows.turns")
    until(lambda: _slots(crew, "bulk") == 200)
    jobs = [crew.submit("noop", {"n": n}, lane="bulk") for n in range(2)]
    assert fires(crew, "system_fault:system")["detail"] == "jobs wait for system: 2 in bulk"
    other.stop()
    crew.start_worker("bulk")
    for job in jobs:
        assert crew.ended(job["id"], 40)["status"] == "succeeded"
    resolves(crew, "system_fault:system")
    once_each("system_fault:system", crew)


def test_a_provider_that_refuses_the_credential(crew: Stack) -> None:
    """One call is enough; it is named for a minute after the last."""
    crew.provider.set_faults(error_rates={"insufficient_quota": 1})
    job = crew.submit("asks", {"text": "x"}, wait=20)
    assert job["error"]["code"] == "provider_auth"
    crew.provider.reset_faults()
    alert = fires(crew, "system_fault:provider_auth:simulated")
    assert alert["detail"].startswith("provider simulated refuses its credential")


def test_a_configuration_that_would_be_refused(crew: Stack, config: Path) -> None:
    """The system goes on with what it has; the alert names key and rule, and shows no value."""
    config.write_text("pool_size = 'sk-very-secret'\n")
    key = f"configuration:{socket.gethostname()}"
    detail = fires(crew, key)["detail"]
    assert "pool_size" in detail and "valid integer" in detail and "sk-very-secret" not in detail
    assert crew.submit("noop", {"n": 1}, wait=20)["status"] == "succeeded"
    config.write_text("pool_size = 'half a line")
    until(lambda: "not valid TOML" in standing(crew)[key]["detail"])
    config.write_text("pool_size = 8\n")
    resolves(crew, key)
    once_each(key, crew)


def _slots(stack: Stack, lane: str) -> int:
    found = {one["lane"]: one for one in stack.client.get("/v1/status").json()["lanes"]}
    return int(found[lane]["slots"])
