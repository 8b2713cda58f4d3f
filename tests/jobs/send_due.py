"""A sender in a process of its own, to be killed: `python -m tests.jobs.send_due DATABASE_URL WORKER_ID`."""

from __future__ import annotations

import asyncio
import sys
from uuid import UUID

from app.clients.webhook import WebhookClient
from app.domain.clock import SYSTEM_CLOCK
from app.jobs.deliver import Deliver
from app.settings import TelemetrySettings, WebhookSettings
from app.store.database import open_database
from app.store.deliveries import Deliveries
from app.telemetry.traces import open_tracing


async def main(url: str, worker_id: UUID) -> None:
    settings = WebhookSettings(allow_private=True)
    database = await open_database(url, 2)
    client = WebhookClient(allow_private=True, timeout_s=settings.timeout_s, clock=SYSTEM_CLOCK)
    tracing = open_tracing(TelemetrySettings(), "work")
    await Deliver(Deliveries(database, worker_id), client, settings, SYSTEM_CLOCK, tracing).serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], UUID(sys.argv[2])))
