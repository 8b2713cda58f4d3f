"""How a child is started: credentials, the tie to its parent, and the thread that may do it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from signal import SIGTERM

import pytest

from app.supervise import launch
from app.supervise.children import Account, Program, run_to_end, spawn
from app.supervise.errors import CannotStart

_ROOT = Path("/")


def _shell(script: str, account: Account | None = None) -> Program:
    return Program("shell", ("/bin/sh", "-c", script), {"PATH": "/usr/bin:/bin"}, cwd=_ROOT, account=account)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_credentials_are_dropped_for_good() -> None:
    done = run_to_end(_shell("id -u; id -g; id -G; ulimit -c", Account(65534, 65534)), timeout_s=10)
    assert done.stdout.splitlines()[:3] == ["65534"] * 3


def test_program_of_a_parent_that_is_gone_never_runs(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    argv = [sys.executable, "-I", "-S", launch.__file__, str(int(SIGTERM)), "1", "-", "/usr/bin/touch", str(proof)]
    assert subprocess.run(argv, timeout=10, check=False).returncode == 0
    assert not proof.exists()
    argv[5] = str(os.getpid())
    assert subprocess.run(argv, timeout=10, check=False).returncode == 0
    assert proof.exists()


def test_program_that_cannot_run_is_named() -> None:
    done = run_to_end(Program("none", ("/no/such/program",), {}, cwd=_ROOT), timeout_s=10)
    assert done.returncode == 126 and "cannot start /no/such/program" in done.stdout


def test_program_that_hangs_is_named() -> None:
    with pytest.raises(CannotStart, match=r"/bin/sh did not end within 0\.2 s"):
        run_to_end(_shell("exec sleep 60"), timeout_s=0.2)


async def test_another_thread_may_not_start_children() -> None:
    with pytest.raises(RuntimeError, match="main thread"):
        await asyncio.to_thread(spawn, _shell("true"))


def test_child_leads_a_session_of_its_own_and_knows_no_more_than_it_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = spawn(Program("env", ("/usr/bin/env",), {"LANG": "C.UTF-8"}, cwd=_ROOT, log=log))
    assert child.wait(10) == 0
    assert log.read_text() == "LANG=C.UTF-8\n" and log.stat().st_mode & 0o777 == 0o600
    asleep = spawn(_shell("exec sleep 60"))
    assert os.getsid(asleep.pid) == asleep.pid
    asleep.kill()
    asleep.wait(10)
