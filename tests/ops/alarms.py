"""Alerts as operators meet them: in `/v1/status`, in `/metrics`, in the logs and in the table."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.ops.scraping import scrape
from tests.stack import Stack, until

# Quick to fire and quick to resolve.
QUICK = {
    "LANEWAY_ALERTS__INTERVAL_S": "0.2",
    "LANEWAY_ALERTS__HOLD_S": "0.4",
    "LANEWAY_ALERTS__CLEAR_S": "0.8",
    "LANEWAY_ALERTS__UNCLAIMED_S": "0.5",
}


def standing(stack: Stack) -> dict[str, dict[str, Any]]:
    """The alerts of `/v1/status` by key."""
    response = stack.client.get("/v1/status")
    assert response.status_code == 200, response.text
    return {alert["key"]: alert for alert in response.json()["alerts"]}


def fires(stack: Stack, key: str, timeout_s: float = 15) -> dict[str, Any]:
    """Wait for it; the alert as `/v1/status` shows it, and `/metrics` counts it."""
    until(lambda: key in standing(stack), timeout_s)
    alert = standing(stack)[key]
    assert scrape(stack.client).total("laneway_alerts", kind=alert["kind"]) >= 1
    return alert


def resolves(stack: Stack, key: str, timeout_s: float = 20) -> None:
    """Wait until it stands no more."""
    until(lambda: key not in standing(stack), timeout_s)


def told(*stacks: Stack) -> Counter[tuple[str, str]]:
    """How often each event of each key stands in the logs of all processes."""
    processes = [process for stack in stacks for process in stack.processes]
    lines = [line for process in processes for line in process.log.read_text().splitlines()]
    found = [json.loads(line) for line in lines if '"alert.' in line]
    return Counter((line["event"], line["key"]) for line in found)


def once_each(key: str, *stacks: Stack) -> None:
    """One process told that it fired, one that it resolved, and one row says when."""
    events = {event: count for (event, about), count in told(*stacks).items() if about == key}
    assert events == {"alert.fired": 1, "alert.resolved": 1}
    rows = stacks[0].sql("select since <= fired_at as a, fired_at < resolved_at as b from alerts where key = $1", key)
    assert rows == [{"a": True, "b": True}]
