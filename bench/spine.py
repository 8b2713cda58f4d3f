"""The spine's figures: `python -m bench.spine` starts `laneway up` and prints one table."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
import urllib.request
from pathlib import Path

from bench.load import Load, post, run
from bench.service import Service, folder, redis_commands, service

_PATH = "/v1/workflows/bench-noop/jobs"
_BODY = b'{"input":{"n":1}}'
_ROUNDS = 5
_SUBMITS = 4000
_CONNECTIONS = 64
_WAITED = 200
_IDLE_S = 10


def main() -> None:
    """Print every figure."""
    with folder() as data:
        rows = dict(_start(data))
        with service(data, "--workers", "0") as running:
            rows["durable submits/s, one API, 64 connections"] = _median([_submits(running) for _ in range(_ROUNDS)])
    with folder() as data, service(data) as running:
        rows |= _idle(running)
        rows |= _waited(running)
        rows["end to end no-op jobs/s, two workers"] = _median([_through(running) for _ in range(_ROUNDS)])
    for name, figure in rows.items():
        sys.stdout.write(f"| {name} | {figure} |\n")


def _start(data: Path) -> list[tuple[str, str]]:
    with service(data) as first:
        one = first.started_s
    with service(data) as second:
        return [("first start, s", f"{one:.1f}"), ("second start, same data, s", f"{second.started_s:.1f}")]


def _load(running: Service, *headers: str, total: int, connections: int) -> Load:
    request = post(_PATH, _BODY, running.key, *headers)
    return asyncio.run(run(running.host, running.port, request, total=total, connections=connections))


def _submits(running: Service) -> float:
    load = _load(running, total=_SUBMITS, connections=_CONNECTIONS)
    _expect(load, 202)
    return load.rate


def _waited(running: Service) -> dict[str, str]:
    _load(running, "Prefer: wait=10", total=20, connections=1)
    rounds = [_load(running, "Prefer: wait=10", total=_WAITED, connections=1) for _ in range(_ROUNDS)]
    for load in rounds:
        _expect(load, 201)
    p50 = statistics.median(statistics.median(load.latencies_s) for load in rounds) * 1000
    p95 = statistics.median(sorted(load.latencies_s)[int(_WAITED * 0.95)] for load in rounds) * 1000
    return {"waited no-op on an idle stack, p50 / p95 ms": f"{p50:.1f} / {p95:.1f}"}


def _through(running: Service) -> float:
    """Jobs a second from the first submit to the last end."""
    began = time.perf_counter()
    _expect(_load(running, total=_SUBMITS, connections=_CONNECTIONS), 202)
    while _unfinished(running):
        time.sleep(0.02)
    return _SUBMITS / (time.perf_counter() - began)


def _unfinished(running: Service) -> bool:
    request = urllib.request.Request(
        f"http://{running.host}:{running.port}/v1/status", headers={"Authorization": f"Bearer {running.key}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        lanes = json.load(answer)["lanes"]
    return any(lane["queued"] + lane["running"] + lane["scheduled"] + lane["waiting"] for lane in lanes)


def _idle(running: Service) -> dict[str, str]:
    time.sleep(3)
    before = redis_commands(running.valkey_socket)
    time.sleep(_IDLE_S)
    commands = (redis_commands(running.valkey_socket) - before) / _IDLE_S
    memory = running.memory_mb()
    parts = ", ".join(f"{name.split()[0]} {mb:.0f}" for name, mb in memory.items())
    return {
        "idle Redis commands/s": f"{commands:.0f}",
        "idle memory of all processes, MB (PSS)": f"{sum(memory.values()):.0f} ({parts})",
    }


def _median(figures: list[float]) -> str:
    return f"{statistics.median(figures):,.0f}"


def _expect(load: Load, status: int) -> None:
    if set(load.statuses) != {status}:
        raise SystemExit(f"expected only {status}, got {load.statuses}")


if __name__ == "__main__":
    main()
