"""What the service is doing: for people as JSON, for Prometheus as text."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from app.domain.alert import Alert
from app.jobs.view import time_view
from app.ops.overview import LaneLook
from app.routers.breakers import breaker_view
from app.routers.deps import RuntimeDep, needs, runtime_of
from app.routers.reply import json_answer
from app.store.keys import ApiKey
from app.store.reports import ProcessRow

_operator = needs("ops:read")
_UNKEPT = {"Cache-Control": "no-store"}


async def _watcher(request: Request) -> ApiKey | None:
    """Whoever may watch: a key with `ops:read`, or anybody (None) where the settings say so."""
    return None if runtime_of(request).settings.metrics_open else await _operator(request)


WatcherDep = Annotated[ApiKey | None, Depends(_watcher)]
router = APIRouter(tags=["health"], dependencies=[Depends(_watcher)])


@router.get("/v1/status", operation_id="ops.status", summary="What the service is doing")
async def status(runtime: RuntimeDep, key: WatcherDep) -> Response:
    """Each lane's work, slots and pace, workers, parts; of breakers that steps name those of the key's project; says so
    when the provider is simulated.
    """
    breakers = await runtime.named_breakers.brief(key.project_id, key.mode == "test") if key else []
    look = await runtime.overview.look()
    found = {
        "parts": await runtime.parts.reachable(),
        "lanes": [_lane(lane) for lane in look.lanes],
        "processes": {role: look.count(role) for role in ("serve", "work")},
        "workers": [_worker(process) for process in look.alive if process.role == "work"],
        "alerts": [_alert(alert) for alert in await runtime.lookout.standing()],
        "pools": [
            {"id": pool.name, "state": pool.state, "in_flight": pool.in_flight} for pool in await runtime.pools.brief()
        ],
        "breakers": [breaker_view(breaker) for breaker in breakers],
        "provider_simulated": runtime.settings.simulated,
    }
    return json_answer(found, headers=_UNKEPT)


@router.get("/metrics", operation_id="ops.metrics", summary="The same for Prometheus", response_class=Response)
async def metrics(runtime: RuntimeDep) -> Response:
    """The whole service, every process by its label `process`; the same from each API: scrape one address."""
    return Response(await runtime.scrape.text(), headers={**_UNKEPT, "Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def _lane(lane: LaneLook) -> dict[str, Any]:
    reasons: Counter[str] = Counter()
    for row in lane.rows:
        if row.reason is not None:
            reasons[row.reason] += row.count
    return {
        "lane": lane.name,
        **{state: lane.count(state) for state in ("queued", "scheduled", "waiting", "running")},
        "reasons": reasons,
        "due": lane.due,
        "oldest_s": round(lane.oldest_s, 3),
        "eta_s": lane.eta_s(lane.due, lane.run_s),
        "ended_last_minute": lane.ended,
        "paused": lane.paused,
        "workers": lane.workers,
        "slots": lane.slots,
        "slots_in_use": lane.in_use,
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "key": alert.key,
        "kind": alert.kind,
        "detail": alert.detail,
        "since": time_view(alert.since),
        "fired_at": time_view(alert.fired_at),
    }


def _worker(process: ProcessRow) -> dict[str, Any]:
    return {
        "host": process.host,
        "pid": process.pid,
        "lanes": process.lanes,
        "started_at": time_view(process.started_at),
        "beat_age_s": round(process.beat_age_s, 3),
    }
