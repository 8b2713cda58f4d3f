"""One experiment: a stack, a crowd of clients under one name, the faults and their times, and the verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.ops.verify import scope_of, told, verified
from tests.faults import journals
from tests.faults.crew import Crew
from tests.faults.doors import Doors, open_doors
from tests.faults.journals import StepMark, Told
from tests.faults.load import Load, Shape, draw
from tests.faults.verdict import ENDS, Seen, Stored, Verdict, judge
from tests.stack import KEY, Process, Stack, bearer, running_stack, until
from tests.supervise.embedded import open_folder

_JOBS = """
select j.id, j.status, j.attempt, j.epoch, j.started_at, j.created_at, j.ended_at, j.has_webhook, j.deaths,
    j.error_code, convert_from(p.body, 'UTF8')::jsonb->>'name' as key,
    (convert_from(p.body, 'UTF8')::jsonb->>'steps')::int as steps,
    (convert_from(p.body, 'UTF8')::jsonb->>'asks')::int as asks
from jobs j join payloads p on p.id = j.input_id where j.tags ? $1
"""
_ENDS = """
select e.job_id, e.type from events e join jobs j on j.id = e.job_id where j.tags ? $1 and e.type = any($2::text[])
"""
_STEPS = """
select s.job_id, s.name, s.key, s.ended_at from steps s join jobs j on j.id = s.job_id
where j.tags ? $1 and s.status = 'succeeded'
"""
_DELIVERIES = """
select d.job_id, d.event_id, d.type, d.status from deliveries d join jobs j on j.id = d.job_id where j.tags ? $1
"""
_LIVE = "select count(*) as n from jobs where tags ? $1 and status <> all($2::text[])"
_UNSENT = """
select count(*) as n from deliveries d join jobs j on j.id = d.job_id
where j.tags ? $1 and d.status not in ('succeeded', 'dead')
"""
LEASE_S = 4.0
_ENDED = ("succeeded", "failed", "canceled", "expired")


@dataclass(slots=True)
class Scene:
    """`name` tags every job; `felled` are processes that were killed, stopped or frozen."""

    name: str
    stack: Stack
    crew: Crew
    doors: Doors
    felled: set[int] = field(default_factory=set)

    @property
    def told(self) -> Path:
        return self.stack.folder / f"told-{self.name}"

    @property
    def marked(self) -> Path:
        return self.stack.folder / f"marks-{self.name}"

    @property
    def provided(self) -> Path:
        return self.stack.folder / "provider"

    def load(self, shape: Shape, url: str | None = None) -> Load:
        """Clients of that shape, submitting from now on, to the stack's API where no other is named."""
        hooks_url = self.doors.hooks_url if shape.hooks_proxied else self.stack.hooks.url
        wanted = draw(shape, self.name, self.marked, f"{hooks_url}/{self.name}")
        load = Load(url or self.stack.url, bearer(KEY), self.told, wanted)
        load.start()
        return load

    def kill(self, process: Process) -> float:
        """SIGKILL; the time of it."""
        self.felled.add(process.pid)
        at = time.time()
        process.kill()
        return at

    def marks(self) -> list[StepMark]:
        """What the steps noted so far."""
        return journals.marks(self.marked)

    def rest(self, timeout_s: float = 30) -> None:
        """Wait until every job has ended and every webhook is delivered or dead."""
        until(lambda: self._none(_LIVE, list(_ENDED)) and self._none(_UNSENT), timeout_s)

    def verdict(self) -> Verdict:
        """What was lost or doubled."""
        items = f"{self.name}-"
        asked = [call for call in journals.asked(self.provided) if call.item.startswith(items)]
        hooks = journals.hooks(self.stack.folder / "hooks", f"/{self.name}")
        seen = Seen(journals.told(self.told), self.marks(), hooks, asked)
        return judge(seen, self._stored(), self.felled)

    def repair(self) -> None:
        """Every part is there again for the next, and what this one started for itself is gone."""
        self.crew.end_own()
        self.doors.heal()
        self.stack.provider.reset_faults()
        for server in (self.stack.servers.postgres, self.stack.servers.valkey):
            if server.process is None or server.process.poll() is not None:
                server.start()

    def verified(self) -> list[str]:
        """What `laneway verify` finds."""
        return asyncio.run(_verified(self.stack.servers.database_url))

    def jobs(self) -> list[dict[str, Any]]:
        """The stored jobs."""
        return self.stack.sql(_JOBS, self.name)

    def _stored(self) -> Stored:
        return Stored(
            jobs=self.jobs(),
            ends=self.stack.sql(_ENDS, self.name, list(ENDS)),
            steps=self.stack.sql(_STEPS, self.name),
            deliveries=self.stack.sql(_DELIVERIES, self.name),
        )

    def _none(self, statement: str, *values: Any) -> bool:
        return bool(self.stack.sql(statement, self.name, *values)[0]["n"] == 0)


class Stage:
    """Where experiments run: servers, provider and receiver with their journals, proxies before them, and the crew."""

    def __init__(self, stack: Stack, doors: Doors) -> None:
        self.stack = stack
        self.doors = doors
        self.crew = Crew(stack)

    def scene(self, name: str) -> Scene:
        """For one run, under a name of its own."""
        return Scene(name, self.stack, self.crew, self.doors)


@contextmanager
def stage(data: Path | None = None) -> Iterator[Stage]:
    """PostgreSQL, Valkey, provider and receiver; who acts is started by the experiments. The lease is the default.

    `data` holds the servers' files; None: a folder of their own.
    """
    with open_folder() as folder:
        journal = ("--journal", str(folder / "provider"), "--fsync")
        settings = {"LANEWAY_WORKFLOWS": "tests.flows.catalogue,tests.faults.catalogue", "LANEWAY_DRAIN_S": "1"}
        with (
            running_stack(folder, data=data, provider=journal, LANEWAY_LEASE_S=str(LEASE_S), **settings) as stack,
            open_doors(stack) as doors,
        ):
            yield Stage(stack, doors)


async def _verified(url: str) -> list[str]:
    scope = scope_of(None, 20.0)
    return [told(finding) async for finding in verified(url, scope) if not finding.holds]


def taken_up(marks: list[StepMark], pid: int, at: float) -> list[float]:
    """Seconds from a kill at that time to the next mark of each job that the process had in hand."""
    waits = []
    for name in {mark.name for mark in marks if mark.pid == pid and mark.at <= at}:
        own = [mark for mark in marks if mark.name == name]
        before = [mark for mark in own if mark.at <= at]
        after = [mark.at - at for mark in own if mark.at > at]
        if before[-1].pid == pid and after:
            waits.append(min(after))
    return sorted(waits)


def start_lags(marks: list[StepMark], told: list[Told], since: float, until: float) -> list[float]:
    """Seconds from submit to the first step, of the jobs that were submitted in that span; inf: not begun."""
    asked = {one.key: one.asked_at for one in reversed(told) if since <= one.asked_at < until}
    begun = {mark.name: mark.at for mark in reversed(marks)}
    return sorted(begun.get(key, float("inf")) - at for key, at in asked.items())
