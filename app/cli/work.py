"""`laneway work`: one worker process."""

from __future__ import annotations

from typing import Annotated

import typer
import uvloop

from app.cli.start import refuse, start
from app.settings import LANES
from app.worker import work as work_lanes


def work(
    lanes: Annotated[str, typer.Option(help="Lanes to serve, comma separated.")] = ",".join(LANES),
) -> None:
    """Run jobs and deliver webhooks. Needs LANEWAY_DATABASE_URL and LANEWAY_REDIS_URL."""
    wanted = [lane.strip() for lane in lanes.split(",") if lane.strip()]
    if not wanted or (unknown := [lane for lane in wanted if lane not in LANES]):
        refuse(f"--lanes: {unknown[0] if wanted else 'nothing'!r} is no lane: use {', '.join(LANES)}.")
    settings, catalogue = start("work")
    uvloop.run(work_lanes(settings, catalogue, list(dict.fromkeys(wanted))))
