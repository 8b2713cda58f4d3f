"""Log lines of a real process: JSON each, ids where they belong, and nothing that was not meant to be told."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.telemetry.libraries import Libraries
from app.telemetry.logs import ALLOWED, Lines

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-prompt-4711"
Line = dict[str, Any]


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    command = [sys.executable, "-W", "default", "-m", "tests.telemetry.speaker", CANARY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def line(lines: list[Line], event: str) -> Line:
    (found,) = [line for line in lines if line["event"] == event]
    return found


def test_every_line_is_json_with_what_all_lines_have_and_no_canary(lines: list[Line]) -> None:
    assert [one["event"] for one in lines[-2:]] == ["end", "not caught"]
    assert CANARY not in json.dumps(lines)
    for one in lines:
        assert {"event", "level", "timestamp", "role", "room"} <= one.keys() <= ALLOWED | {"dropped"}
        assert one["role"] == "test"


def test_ids_stand_on_the_lines_of_their_job_and_on_no_other(lines: list[Line]) -> None:
    for event in ("inside", "end"):
        assert ("job_id" in line(lines, event)) == (event == "inside")
    assert (line(lines, "inside")["job_id"], line(lines, "inside")["trace_id"]) == ("job_1", "t1")
    assert "job_id" not in line(lines, "outside")


def test_what_is_not_allowed_is_dropped_and_named(lines: list[Line]) -> None:
    assert line(lines, "inside")["dropped"] == ["prompt", "api_key"]
    assert line(lines, "inside")["step"] == "a"


@pytest.mark.parametrize("event", ["handled", "told"])
def test_an_exception_is_told_by_type_and_place(lines: list[Line], event: str) -> None:
    told = line(lines, event)
    assert told["error"] == "ValueError"
    assert told["exception"].startswith("telemetry/speaker.py:")


def test_libraries_are_told_by_their_own_words_only(lines: list[Line]) -> None:
    assert line(lines, "1.2s ! (str) failed: ValueError")["level"] == "error"
    assert line(lines, "code: %d")["room"] == "opentelemetry.exporter"
    assert line(lines, "(str) happened")["room"] == "uvicorn.error"
    assert line(lines, "OSError: Address already in use")["room"] == "uvicorn.error"
    author = line(lines, "line of a library")
    assert (author["room"], author["module"].split(":")[0]) == ("an.author", "speaker")
    assert "below warning" not in json.dumps(lines)
    assert line(lines, "Task exception was never retrieved")["error"] == "ValueError"


def test_an_error_that_nobody_caught_is_told_by_type_cause_and_place(lines: list[Line]) -> None:
    of_thread, of_process = [one for one in lines if one["event"] == "not caught"]
    for one in (of_thread, of_process):
        assert (one["what"], one["error"]) == ("ValueError", "ConnectionRefusedError: Connection refused")
        assert one["exception"].startswith("telemetry/speaker.py:")


def test_a_traceback_as_text_is_told_by_its_types_and_place(lines: list[Line]) -> None:
    (event,) = [one["event"] for one in lines if one["event"].startswith("ValueError from")]
    assert event.startswith("ValueError from ConnectionRefusedError at telemetry/speaker.py:")


def test_a_warning_is_told_by_category_and_place(lines: list[Line]) -> None:
    (warned,) = [one["event"] for one in lines if one["room"] == "py.warnings"]
    assert warned.startswith("DeprecationWarning at ")
    assert "speaker.py:" in warned


class Room:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, int, Line]] = []

    def log(self, level: int, event: str, **more: Any) -> None:
        self.lines.append((event, level, more))


def test_an_exporter_that_fails_all_the_time_is_told_once_a_minute() -> None:
    room = Room()
    handler = Libraries(lambda name: room)
    for second in range(0, 180, 2):
        for name in ("opentelemetry.sdk._shared_internal", "opentelemetry.exporter.otlp", "urllib3.connectionpool"):
            record = logging.LogRecord(name, logging.WARNING, "x.py", 1, "Queue full, dropping %s.", ("Span",), None)
            record.created = 1000.0 + second
            handler.handle(record)
    assert [more["count"] for _, _, more in room.lines] == [1, 90, 90]
    handler.handle(logging.LogRecord("arq.worker", logging.WARNING, "x.py", 1, "other", (), None))
    assert room.lines[-1][0] == "other"


class Broken(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_costs_a_line_and_nothing_else() -> None:
    Lines(Broken()).error("lost")
    closed = io.StringIO()
    closed.close()
    Lines(closed).info("lost")
