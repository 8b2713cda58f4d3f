"""What the engine's tests share: runs with every part real, in memory, under a virtual clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.domain import canonical, ids
from app.domain.job import TraceContext
from app.engine.journal import MemoryJournal
from app.engine.replies import ScriptedGateway, StepName
from app.engine.run import Run
from app.engine.virtual import VirtualClock
from app.settings import TelemetrySettings
from app.telemetry.traces import open_tracing

START = datetime(2030, 1, 1, tzinfo=UTC)
PROJECT = UUID(int=7)


def make_run(
    value: Any, *, replies: Mapping[StepName, Any] | None = None, clock: VirtualClock | None = None, **changes: Any
) -> Run:
    """A first run of a new job with this input; `changes` are fields of Run."""
    clock = clock or VirtualClock(START)
    journal = changes.get("journal") or MemoryJournal()
    given: dict[str, Any] = {
        "job_id": getattr(journal, "job_id", None) or ids.uuid7(),
        "project_id": PROJECT,
        "lane": "standard",
        "attempt": 1,
        "input": canonical.dump(value),
        "resumed": False,
        "trace": TraceContext(ids.trace_id(), ids.span_id()),
        "journal": journal,
        "gateway": ScriptedGateway(replies or {}, clock),
        "tracing": open_tracing(TelemetrySettings(), "test"),
        "clock": clock,
    }
    return Run(**{**given, **changes})
