"""Runs the parent on `child.py` as its children: `python -m tests.supervise.run_up PLAN`, fields of Plan as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from app.supervise.commands import Commands
from app.supervise.plan import Plan
from app.supervise.supervisor import supervise

_CHILD = (sys.executable, str(Path(__file__).with_name("child.py")))


async def release(database_url: str, process_id: UUID) -> None:
    """Note the id; break where the test asks for it."""
    _note(f"released {process_id} {database_url}\n")
    if os.environ.get("TEST_RELEASE_BREAKS"):
        raise ConnectionError("no database")


def _note(line: str) -> None:
    with open(os.environ["TEST_JOURNAL"], "a") as journal:
        journal.write(line)


def main() -> None:
    given = json.loads(sys.argv[1])
    plan = replace(Plan(Path(given.pop("data")), port=0), **given)
    if "store" in given:
        plan = replace(plan, store=Path(given["store"]))
    commands = Commands(*((*_CHILD, role) for role in ("serve", "work", "migrate", "simulate")))
    sys.exit(asyncio.run(supervise(plan, release, lambda line: print(line, flush=True), commands)))


if __name__ == "__main__":
    main()
