"""What a job went through, in lines of text: its attempts, the deaths among them, and its steps with their errors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

_LONGEST = 160
Json = dict[str, Any]


def history(job: Json, trace: Json) -> list[str]:
    """From the API's job and timeline."""
    return [*_attempts(job), *_steps(trace)]


def _attempts(job: Json) -> Iterator[str]:
    for attempt in job["attempts"]:
        took = _took(attempt["started_at"], attempt["ended_at"])
        yield f"attempt {attempt['n']:<3} {attempt['status']:<10} {took:>9}  {_error(attempt['error'])}".rstrip()
    lost = sum(bool(one["error"]) and one["error"]["code"] == "worker_lost" for one in job["attempts"])
    if lost:
        yield f"{lost} death{'s' * (lost != 1)}: a worker was lost while it ran this job"


def _steps(trace: Json) -> Iterator[str]:
    spans = trace["spans"]
    for step in [span for span in spans if span["kind"] == "step"]:
        more = step["attributes"]
        name = f"{step['name']}[{more['key']}]" if more.get("key") else step["name"]
        calls = sum(span["kind"] == "call" and span["parent_id"] == step["id"] for span in spans)
        counts = [f"tries {step['try']}"] if step.get("try") else []
        counts += [f"calls {calls}"] if calls else []
        error = f"  {more['error']}: {_first_line(more.get('error_detail') or '')}" if more.get("error") else ""
        took = _took(step["started_at"], step["ended_at"])
        yield f"step {name:<15} {step['status']:<10} {took:>9}  {', '.join(counts)}{error}".rstrip()


def _error(error: Json | None) -> str:
    if error is None:
        return ""
    where = f" in {error['step']}" if error["step"] else ""
    return f"{error['code']} ({error['class']}){where}: {_first_line(error['detail'])}"


def _first_line(text: str) -> str:
    return (text.splitlines() or [""])[0][:_LONGEST]


def _took(start: str | None, end: str | None) -> str:
    if start is None or end is None:
        return ""
    return f"{(datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds():.2f} s"
