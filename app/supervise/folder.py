"""The files that the parent itself keeps in the data directory: key, logs, and a note for tools of what runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from app.domain.ids import secret_base62
from app.supervise.errors import CannotStart

_KEY_LENGTH = 32
_LOG_BYTES = 10_000_000
_LAST_LINES = 30


def open_data(data: Path) -> None:
    """Make the directory, passable for the servers' user, and its private folder of logs. Raises CannotStart."""
    try:
        if not data.is_dir():
            data.mkdir(parents=True)
            data.chmod(0o755)
        (data / "logs").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"Cannot use {data} for data: {error.strerror}. Choose another with --data.") from None
    for log in (data / "logs").glob("*.log"):
        if log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))


def kept_key(data: Path) -> str:
    """The API key of this directory, made at the first call, readable by its owner only. Raises CannotStart."""
    path = data / "api_key"
    if not path.exists():
        _write_private(path, f"lw_live_{secret_base62(_KEY_LENGTH)}\n")
    key = path.read_text(encoding="ascii", errors="replace").strip()
    if not key.startswith("lw_"):
        raise CannotStart(f"{path} does not hold an API key: restore it, or remove it to have a new one made.")
    return key


def log_path(data: Path, name: str) -> Path:
    """Where that child's output goes."""
    return data / "logs" / f"{name}.log"


def last_words(log: Path | None, offset: int = 0) -> str:
    """The last lines of a log, from that byte on; where to look when the output was passed through."""
    if log is None or not log.exists():
        return "(its output is above)"
    with log.open("rb") as stream:
        stream.seek(offset)
        lines = stream.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-_LAST_LINES:]) or f"(it said nothing in {log})"


def write_note(data: Path, note: Mapping[str, object]) -> None:
    """Replace `up.json` in one step."""
    _write_private(data / "up.json", json.dumps(note, indent=1) + "\n")


def remove_note(data: Path) -> None:
    """Nothing runs here any more."""
    (data / "up.json").unlink(missing_ok=True)


def _write_private(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
