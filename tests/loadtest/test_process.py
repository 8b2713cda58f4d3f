"""The process: where it says it listens, how it stops, and how it refuses bad options."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

from app.loadtest.provider.command import simulate
from tests.loadtest.provider_process import ProviderProcess, running_provider


def test_the_port_file_names_the_port(tmp_path: Path) -> None:
    with running_provider("--port-file", str(tmp_path / "port")) as provider:
        assert provider.url.endswith(f":{int((tmp_path / 'port').read_text())}")
        assert httpx.get(f"{provider.url}/livez", trust_env=False).json() == {"status": "ok"}


def test_sigterm_ends_hanging_calls_within_a_second(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    with running_provider("--journal", str(journal)) as provider, ThreadPoolExecutor(4) as threads:
        provider.set_faults(down="hang")
        calls = [threads.submit(_hangs, provider) for _ in range(4)]
        while provider.stats()["in_flight"] < 4:
            time.sleep(0.01)
        start = time.monotonic()
        assert provider.stop() == 0
        assert time.monotonic() - start < 1.0
        assert all(isinstance(call.result(), httpx.HTTPError) for call in calls)
    assert journal.read_text().count('"outcome":"stopped"') == 4


def _hangs(provider: ProviderProcess) -> BaseException | None:
    try:
        httpx.post(f"{provider.base_url}/chat/completions", json={"model": "m"}, timeout=10, trust_env=False)
    except httpx.HTTPError as error:
        return error
    return None


def test_sigterm_lets_a_short_call_finish() -> None:
    with running_provider(latency="fixed(200)") as provider, ThreadPoolExecutor(1) as threads:
        call = threads.submit(provider.chat, "hello")
        time.sleep(0.08)
        assert provider.stop() == 0
        assert call.result().status_code == 200


def test_a_taken_port_is_refused(shared_provider: ProviderProcess) -> None:
    port = shared_provider.url.rpartition(":")[2]
    refused = _run("--port", port)
    assert refused.returncode == 2
    assert "in use" in refused.stderr


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--latency", "0.5*fixed(1)+slow(2)"], "slow(2)"),
        (["--error-rate", "http_500"], "http_500"),
        (["--error-rate", "earthquake=0.1"], "earthquake"),
        (["--accuracy", "mini-1=1.5"], "mini-1=1.5"),
        (["--limit-headers", "some"], "limit_headers"),
        (["--first-token", "1.5"], "--first-token"),
        (["--truth", "/nowhere/truth.jsonl"], "/nowhere/truth.jsonl"),
    ],
)
def test_a_bad_option_is_refused_by_name(options: list[str], named: str) -> None:
    refused = _invoke("--port", "0", *options)
    assert refused.exit_code == 2
    assert named in refused.output


def test_a_bad_truth_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    path.write_text('{"item": "a", "answer": 1}\n{"itme": "b"}\n')
    refused = _invoke("--port", "0", "--truth", str(path))
    assert refused.exit_code == 2
    assert "line 2" in refused.output


def _invoke(*options: str) -> Result:
    """The command in this process: for options that are refused before anything is served."""
    command = typer.Typer(add_completion=False)
    command.command()(simulate)
    return CliRunner(env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"}).invoke(command, list(options))


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.loadtest.provider", *options]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={"COLUMNS": "400", "PATH": "/usr/bin:/bin"},
    )
