"""What the benchmark tells a peer's processes by their environment, and the bodies that all peers take and give."""

from __future__ import annotations

import os
from typing import Any, Literal

from pydantic import BaseModel

DATABASE_URL = os.environ.get("BENCH_DATABASE_URL", "")
REDIS_URL = os.environ.get("BENCH_REDIS_URL", "")
PROVIDER_URL = os.environ.get("BENCH_PROVIDER_URL", "")
TUNED = os.environ.get("BENCH_TUNED") == "yes"
READY = "ready to work"
CONCURRENCY = 100
# Model calls at once of one worker.
IN_FLIGHT = 200


class JobIn(BaseModel):
    """A job as it is submitted."""

    n: int
    kind: Literal["noop", "call", "checks"] = "noop"


class JobOut(BaseModel):
    """A job as it is read."""

    id: str
    status: str
    result: dict[str, Any] | None = None
