"""A collector that is away costs its spans, and neither a job nor the peace of the log."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest

from tests.stack import Stack, free_port

JOBS = 60
EXPORT = ("opentelemetry", "urllib3", "requests")


@pytest.fixture(scope="module")
def dark(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An API and a worker whose collector's port is closed, and whose queue of spans is soon full."""
    folder: Path = tmp_path_factory.mktemp("dark")
    more = {
        "LANEWAY_TELEMETRY__OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_BSP_MAX_QUEUE_SIZE": "20",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
    }
    made = Stack(stack.servers, stack.provider, stack.hooks, folder, more)
    made.start_worker("interactive")
    made.start_api()
    yield made
    made.close()


def run(dark: Stack, n: int) -> tuple[str, float]:
    began = time.monotonic()
    job = dark.submit("noop-fast", {"n": n}, wait=20)
    return job["status"], time.monotonic() - began


def test_jobs_run_as_ever_and_the_log_says_it_once(dark: Stack) -> None:
    with ThreadPoolExecutor(10) as pool:
        done = list(pool.map(lambda n: run(dark, n), range(JOBS)))
    assert {status for status, _ in done} == {"succeeded"}
    assert sorted(took for _, took in done)[JOBS // 2] < 3
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(lambda process: process.stop(), dark.processes)) <= {0, -SIGTERM}
    assert time.monotonic() - began < 15
    for process in dark.processes:
        told = [line for line in lines(process.log) if line["room"].startswith(EXPORT)]
        assert len(told) == 1, told
        assert told[0]["level"] in ("warning", "error")


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]
