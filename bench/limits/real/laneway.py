"""One scenario on the real service: servers, `laneway up`, jobs over REST, and what the provider saw."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from bench.limits.measure import quantile
from bench.limits.provider import INF
from bench.limits.real.call import MODEL
from bench.limits.real.hidden import change
from bench.limits.real.simulated import Simulated, simulated
from bench.limits.real.told import Called, Told, told
from bench.limits.real.traffic import Entrance
from bench.limits.real.watch import pools, scripts
from bench.limits.scenario import Scenario
from bench.limits.traffic import REAL_TIME, Job, jobs
from bench.service import Service, service
from tests.supervise.embedded import Embedded, embedded

_STEPS = ("stored", "started", "in line", "call", "ended")
# So slowly can a busy machine take submits.
_AHEAD_PER_S = 15.0
# From when on scripts are counted, as a share of the run: the limit is known by then.
_LATE = 0.8
_ENDS = """
select (metadata->>'n')::int as n, status, error_code, lane, extract(epoch from created_at)::float8 as created,
    extract(epoch from started_at)::float8 as started, extract(epoch from ended_at)::float8 as ended
from jobs where metadata ? 'n'
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """A run, and what else was seen of it: the pool as operators see it, jobs by status and error, the gateway's
    scripts, and where real-time jobs spent their time (the 95th percentile of each part, in seconds).
    """

    told: Told
    pools: list[dict[str, Any]]
    jobs: dict[str, int]
    scripts: dict[str, int]
    parts: dict[str, float]


def run(scenario: Scenario, seed: int, folder: Path, *, fair: bool = True) -> Ran:
    """From cold to the end of the scenario. `fair` False: all tenants are one project. Main thread only."""
    wanted = jobs(scenario.traffic, seed, scenario.seconds)
    with (
        simulated(folder, scenario, seed) as provider,
        embedded(folder / "servers") as servers,
        _up(folder, scenario, provider, servers) as running,
    ):
        keys = _keys(scenario, running, servers, fair)
        return asyncio.run(_measured(scenario, wanted, running, provider, servers, keys))


@contextmanager
def _up(folder: Path, scenario: Scenario, provider: Simulated, servers: Embedded) -> Iterator[Service]:
    config = folder / "laneway.toml"
    config.write_text(_CONFIG.format(url=provider.url, model=MODEL, slots=_slots(scenario)))
    environment = {
        "LANEWAY_CONFIG": str(config),
        "LANEWAY_WORKFLOWS": "bench.limits.real.work",
        "LANEWAY_DATABASE_URL": servers.database_url,
        "LANEWAY_REDIS_URL": servers.redis_url,
        "LANEWAY_SIMULATOR_URL": provider.url,
        "LANEWAY_DRAIN_S": "0",
    }
    with service(folder / "up", "--workers", str(scenario.workers), **environment) as running:
        yield running


_CONFIG = """
[providers.main]
dialect = "openai"
base_url = "{url}/v1"
[models.small]
ladder = [{{ provider = "main", model = "{model}" }}]
[prices."main/{model}"]
input = "0.15"
output = "0.60"
[lanes.bulk]
slots = {slots}
[lanes.interactive]
slots = 200
"""


def _slots(scenario: Scenario) -> int:
    """Of each worker: all together twice what the provider can have in flight, so that it decides and not they."""
    hidden = scenario.hidden
    at_once = min(hidden.most, hidden.knee)
    if at_once == INF:
        mean_s = hidden.first_token_s + hidden.token_s * scenario.traffic.output[0]
        at_once = min(hidden.rpm, hidden.tpm / scenario.traffic.input[0]) / 60 * mean_s
    return max(200, int(2.5 * at_once)) // scenario.workers


def _keys(scenario: Scenario, running: Service, servers: Embedded, fair: bool) -> Mapping[str, str]:
    """A key for each tenant, of a project of its own."""
    names = [name for name, _ in scenario.traffic.tenants]
    if len(names) == 1 or not fair:
        return dict.fromkeys(names, running.key)
    return {name: _new_key(name, servers) for name in names}


def _new_key(project: str, servers: Embedded) -> str:
    command = [sys.executable, "-m", "app", "keys", "create", "--name", project, "--project", project]
    environment = {**os.environ, "LANEWAY_DATABASE_URL": servers.database_url}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


async def _measured(
    scenario: Scenario, wanted: list[Job], running: Service, provider: Simulated, servers: Embedded,
    keys: Mapping[str, str],
) -> Ran:  # fmt: skip
    url, until = f"http://{running.host}:{running.port}", scenario.seconds
    entrance, flood = Entrance(url, keys), _flood(scenario, wanted)
    began = time.time() + len(flood) / _AHEAD_PER_S
    if flood:
        await entrance.ahead(flood, began)
        await asyncio.sleep(began - time.time())
    rest = [job for job in wanted if not (flood and job.lane != REAL_TIME)]
    feeding = asyncio.create_task(entrance.during(rest, began, until))
    acts = [
        asyncio.create_task(change(provider.url, scenario.hidden, began)),
        asyncio.create_task(_redis_away(scenario, servers.valkey.pid, began)),
    ]
    watched = asyncio.create_task(pools(url, running.key, began, until))
    late_s, for_s = until * _LATE, min(20.0, until / 4)
    counted = asyncio.create_task(scripts(servers.redis_url, began + late_s, for_s))
    await asyncio.sleep(began + until - time.time())
    await asyncio.gather(feeding, watched, counted, *acts)
    ends = await _ends(servers.database_url)
    calls = provider.calls(began, until)
    seen = {row["n"]: row["ended"] - began for row in ends if row["status"] == "succeeded"}
    result = told(scenario, wanted, calls, seen)
    by_status: dict[str, int] = defaultdict(int)
    for row in ends:
        by_status[f"{row['status']} {row['error_code'] or ''}".rstrip()] += 1
    result.tally.lost = sum(row["status"] == "failed" for row in ends)
    ran = await counted
    beside = sum(late_s <= call.sent < late_s + for_s for call in calls)
    # The tally wants those of the whole run.
    result.tally.scripts = sum(ran.values()) * sum(result.tally.attempts) // max(1, beside)
    return Ran(result, await watched, dict(by_status), {**ran, "calls": beside}, _parts(wanted, ends, calls, began))


def _parts(
    wanted: Sequence[Job], ends: Sequence[asyncpg.Record], calls: Sequence[Called], began: float
) -> dict[str, float]:
    """Of those that were answered: until stored, until started, until the answered call, that call, until the end."""
    arrives, call_of = {job.id: job.arrives for job in wanted}, {call.n: call for call in calls if call.status == 200}
    steps: dict[str, list[float]] = defaultdict(list)
    for row in ends:
        call = call_of.get(row["n"])
        if row["lane"] != "interactive" or row["status"] != "succeeded" or call is None:
            continue
        times = [arrives[row["n"]], row["created"] - began, row["started"] - began, call.sent, call.ended]
        for name, before, after in zip(_STEPS, times, [*times[1:], row["ended"] - began], strict=True):
            steps[name].append(after - before)
    return {name: round(quantile(steps[name], 0.95), 3) for name in _STEPS if steps[name]}


def _flood(scenario: Scenario, wanted: Sequence[Job]) -> list[Job]:
    """Where tenants differ, all of the backlog has to stand in line at once."""
    return [job for job in wanted if job.lane != REAL_TIME] if len(scenario.traffic.tenants) > 1 else []


async def _redis_away(scenario: Scenario, pid: int, began: float) -> None:
    """As one behind a network that is cut: it keeps what it knows, and nobody reaches it."""
    for when, what in zip(scenario.redis_away or (), (signal.SIGSTOP, signal.SIGCONT), strict=False):
        await asyncio.sleep(began + when - time.time())
        os.kill(pid, what)


async def _ends(database_url: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database_url)
    try:
        found: list[asyncpg.Record] = await connection.fetch(_ENDS)
        return found
    finally:
        await connection.close()
