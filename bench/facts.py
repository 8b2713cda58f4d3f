"""What a figure was measured on: date, commit, machine, versions."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import redis

from bench.place import Place
from bench.process import ROOT


def facts(place: Place, rounds: int) -> str:
    """One sentence."""
    now = datetime.now(UTC)
    return (
        f"{now.day} {now:%B %Y}, commit {_commit() or 'unknown'}, {rounds} round{'s' if rounds > 1 else ''}; "
        f"{len(os.sched_getaffinity(0))} cores ({_processor()}), {_system()}, Python {platform.python_version()}, "
        f"PostgreSQL {asyncio.run(_postgres(place.database_url))}, Valkey {_valkey(place.redis_url)}."
    )


def _commit() -> str:
    name = _git("rev-parse", "--short", "HEAD")
    return (
        f"{name} with changes" if name and _git("status", "--porcelain", "--", "app", "bench", "migrations") else name
    )


def _git(*words: str) -> str:
    try:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return re.sub(r"\(R\)|\(TM\)|Processor| CPU.*| @.*", "", found[1]).strip() if found else platform.machine()


def _system() -> str:
    release = platform.freedesktop_os_release()
    return f"{release.get('NAME', 'Linux').removesuffix(' GNU/Linux')} {release.get('VERSION_ID', '')}".strip()


async def _postgres(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("show server_version"))
    finally:
        await connection.close()


def _valkey(url: str) -> str:
    with redis.Redis.from_url(url) as connection:
        found = connection.info("server")
    return str(found.get("valkey_version") or found["redis_version"])
