"""An API process that is told to stop answers who waits, at once: what was accepted stays accepted."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.stack import Stack, until


def test_who_waits_when_the_api_stops_is_answered(stack: Stack, folder: Path) -> None:
    inner = folder / "stopping"
    inner.mkdir()
    made = Stack(stack.servers, stack.provider, stack.hooks, inner, {})
    api = made.start_api()
    before = stack.submit("noop-fast", {"n": 1})
    count = "select count(*) as n from jobs where workflow = 'noop-fast' and status = 'queued'"
    queued = stack.sql(count)[0]["n"]
    with ThreadPoolExecutor(3) as pool:
        reading = pool.submit(_read, made, before["id"], {"Prefer": "wait=50"})
        knowing = pool.submit(_read, made, before["id"], {"Prefer": "wait=50", "If-None-Match": '"r1"'})
        submitting = pool.submit(made.post, "noop-fast", {"n": 1}, wait=50)
        until(lambda: stack.sql(count)[0]["n"] == queued + 1)
        time.sleep(0.3)
        began = time.monotonic()
        api.stop(10)
        took = time.monotonic() - began
        read, known, submitted = reading.result(), knowing.result(), submitting.result()
    made.close()
    assert took < 5
    assert (read.status_code, read.json()["status"], known.status_code) == (200, "queued", 304)
    assert (submitted.status_code, submitted.json()["status"]) == (202, "queued")
    assert int(submitted.headers["retry-after"]) >= 1
    assert stack.job(submitted.json()["id"])["status"] == "queued"


def _read(stack: Stack, job_id: str, headers: dict[str, str]) -> httpx.Response:
    url = f"{stack.url}/v1/jobs/{job_id}"
    return httpx.get(url, headers={**stack.client.headers, **headers}, timeout=60, trust_env=False)
