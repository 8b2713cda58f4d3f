"""`laneway up --api 2`: both processes answer on one port, and one goes on where the other dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack import ROOT, until
from tests.supervise.embedded import open_folder
from tests.supervise.running import left_behind

CONNECTIONS = 40


@pytest.fixture
def note() -> Iterator[dict[str, Any]]:
    """What `up` tells of itself once it serves; afterwards nothing of it is left."""
    with open_folder() as folder:
        words = ["up", "--data", str(folder / "data"), "--port", "0", "--api", "2", "--workers", "1"]
        plain = {name: value for name, value in os.environ.items() if not name.startswith("LANEWAY_")}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "app", *words], cwd=ROOT, env=plain, stdout=log, stderr=log
            )
        try:
            until(lambda: (folder / "data" / "up.json").exists() or process.poll() is not None, 60)
            assert process.poll() is None, (folder / "log").read_text()
            yield {**json.loads((folder / "data" / "up.json").read_text()), "folder": folder}
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
            until(lambda: not left_behind(folder))


def sockets(pid: int) -> int:
    """How many sockets a process has open."""
    links = (link for link in Path(f"/proc/{pid}/fd").iterdir())
    return sum(os.readlink(link).startswith("socket:") for link in links)


def test_two_apis_share_one_port(note: dict[str, Any]) -> None:
    apis = [note["children"]["api-1"], note["children"]["api-2"]]
    with ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=note["url"], trust_env=False)) for _ in range(CONNECTIONS)]
        until(lambda: clients[0].get("/readyz").status_code == 200)
        before = [sockets(pid) for pid in apis]
        assert {client.get("/livez").status_code for client in clients} == {200}
        held = [sockets(pid) - count for pid, count in zip(apis, before, strict=True)]
        assert min(held) >= 1 and sum(held) >= CONNECTIONS - 2, held
    os.kill(apis[0], signal.SIGKILL)
    with httpx.Client(base_url=note["url"], trust_env=False, headers={"Connection": "close"}) as client:
        assert [client.get("/livez").status_code for _ in range(20)] == [200] * 20
