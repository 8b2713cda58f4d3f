"""The API's application: opens the runtime, mounts the routers."""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from app import __version__
from app.domain import hangup
from app.engine.catalogue import Catalogue
from app.routers import (
    breakers,
    cache,
    dead_letters,
    errors,
    events,
    feed,
    health,
    jobs,
    keys,
    limits,
    openapi,
    operations,
    pools,
    projects,
    status,
    usage,
    workflows,
)
from app.routers.quota import Quoted
from app.routers.requestid import RequestId
from app.routers.timing import Timed
from app.settings import Settings
from app.telemetry.loop import end, keep_running, measure_lag
from app.wiring import Runtime, open_runtime

DESCRIPTION = """Runs AI workflows durably: a job answered 201 or 202 ends in exactly one end state.

Submit with `POST /v1/workflows/{workflow}/jobs`, then wait (`Prefer: wait=30`), poll, stream
(`Accept: text/event-stream`), or be called back (`webhook`).
Authenticate with `Authorization: Bearer lw_live_...`. Every error is `application/problem+json`."""

_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


def create_app(settings: Settings, catalogue: Catalogue) -> FastAPI:
    """The ASGI application of one API process."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_runtime(settings, catalogue, "serve") as runtime:
            app.state.runtime = runtime
            app.state.loop = asyncio.get_running_loop()
            with hangup.listening(runtime.file.again, _end):
                async with _background(runtime):
                    yield

    app = FastAPI(
        title="Laneway",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        telemetry=_telemetry(settings),
        separate_input_output_schemas=False,
        redirect_slashes=False,
    )
    errors.install(app)
    # Routes are tried in this order: the most called first.
    rooms = (
        jobs, events, feed, workflows, dead_letters, operations, cache, usage, limits, keys, projects, pools, breakers,
        status, health,
    )  # fmt: skip
    for room in rooms:
        app.include_router(room.router)
    openapi.install(app, catalogue)
    app.add_middleware(Quoted)
    app.add_middleware(RequestId)
    app.add_middleware(Timed)
    return app


def announce(app: object) -> None:
    """Turn readiness off and go on answering: a proxy takes this process out before it stops to listen."""
    if isinstance(app, FastAPI) and hasattr(app.state, "runtime"):
        app.state.runtime.draining = True


def leave(app: object) -> None:
    """Tell the application that its process must stop; from a signal handler, at any time."""
    if isinstance(app, FastAPI) and hasattr(app.state, "loop"):
        app.state.loop.call_soon_threadsafe(app.state.runtime.leave)


def _end() -> None:
    """The terminal is gone: end as after SIGTERM."""
    signal.raise_signal(signal.SIGTERM)


def _telemetry(settings: Settings) -> TelemetryConfig:
    """FastAPI's own spans, one for each request but probes; none of its logs, which tell exceptions' messages."""
    return {
        "tracing": settings.telemetry.otlp_endpoint is not None,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
        "exclude": lambda scope: scope["path"] in _PROBES,
    }


@asynccontextmanager
async def _background(runtime: Runtime) -> AsyncIterator[None]:
    """Everything that runs beside the requests, from the first to the last."""
    await runtime.heart.register()
    if key := runtime.settings.bootstrap_key:
        await runtime.access.ensure(key.get_secret_value())
    runtime.wake.start(jobs=True)
    loops: dict[str, Callable[[], Awaitable[None]]] = {
        "heart": runtime.heart.run,
        "configuration": runtime.file.run,
        "recover": runtime.recover.run,
        "replay": runtime.replay.run,
        "backlog": runtime.backlog.run,
        "overview": runtime.overview.run,
        "report": runtime.report.run,
        "lookout": runtime.lookout.run,
        "treasury": runtime.treasury.run,
        "quotas": runtime.quotas.run,
        "refusals": runtime.refusals.run,
        "lag": functools.partial(measure_lag, runtime.clock, runtime.metrics.loop_lag.observe),
    }
    tasks = [asyncio.get_running_loop().create_task(keep_running(name, loop)) for name, loop in loops.items()]
    try:
        yield
    finally:
        runtime.draining = True
        await end(*tasks)
        await runtime.wake.close()
        await runtime.ring.close()
        with suppress(Exception):
            await runtime.report.once()
            await runtime.workers.release(runtime.process_id)
        await runtime.workers.close()
