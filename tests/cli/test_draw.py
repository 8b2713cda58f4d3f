"""The timeline in text."""

from __future__ import annotations

from typing import Any

from app.cli.draw import draw_timeline


def span(
    id: str, parent: str | None, kind: str, name: str, start: float, end: float | None, **more: Any
) -> dict[str, Any]:
    def at(second: float) -> str:
        return f"2026-01-01T00:00:{second:09.6f}Z"

    return {
        "id": id,
        "parent_id": parent,
        "kind": kind,
        "name": name,
        "started_at": at(start),
        "ended_at": None if end is None else at(end),
        "status": "succeeded",
        "attributes": more,
    }


def test_each_span_stands_below_its_parent_under_its_own_name() -> None:
    trace = {
        "trace_id": "4bf9",
        "spans": [
            span("j", "client", "job", "busy", 0, 10),
            span("a", "j", "attempt", "attempt 1", 1, 9),
            span("c", "s", "call", "chat small", 3, 4, input_tokens=7, output_tokens=2, cost_usd="0.1"),
            span("s", "a", "step", "ask", 2, 5, key="k1"),
            span("w", "j", "wait", "queued", 0, 1),
        ],
    }
    head, *lines = draw_timeline(trace, width=10).splitlines()
    assert head == "trace 4bf9   10.0 s in all"
    assert [line[:34].rstrip() for line in lines] == [
        "job busy",
        "  wait queued",
        "  attempt 1",
        "    step ask[k1]",
        "      call chat small",
    ]
    assert lines[3].endswith("|  ▒▒▒     | 3000.0 ms  succeeded")
    assert lines[4].endswith("7+2 tokens $0.1")
