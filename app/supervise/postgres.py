"""The embedded PostgreSQL: one private cluster, reached by a socket that only its user and root can open."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT

from app.supervise.account import PLAIN_ENVIRONMENT
from app.supervise.binaries import PostgresBinaries
from app.supervise.children import Program, run_to_end
from app.supervise.errors import CannotStart, StillRunning
from app.supervise.home import Home, make_private

ROLE = "laneway"
_INCLUDE = "include_if_exists = 'laneway.conf'"
_BUILTIN_LOCALE_SINCE = 17
_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "autovacuum_naptime": "10s",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "log_min_duration_statement": "2s",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "synchronous_commit": "on",
}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A cluster below `home`. `fsync` off is for tests: a crash of the machine may then lose everything."""

    home: Home
    binaries: PostgresBinaries
    log: Path
    fsync: bool = True
    max_connections: int = 100

    name = "postgres"

    @property
    def url(self) -> str:
        return f"postgresql://{ROLE}@/postgres?host={self.home.sockets}"

    def prepare(self) -> None:
        """Make the cluster at the first start; write the settings; clear what a crash left. Raises as Server says."""
        if not (self.home.postgres / "PG_VERSION").exists():
            self._initialise()
        self._check_version()
        self._write_settings()
        self._clear_stale()

    def program(self) -> Program:
        """`postgres -D .../postgres`. SIGINT is its fast shutdown: sessions end, the data is left clean."""
        return Program(
            name=self.name,
            argv=(str(self.binaries.postgres), "-D", str(self.home.postgres)),
            environment=PLAIN_ENVIRONMENT,
            cwd=self.home.postgres,
            log=self.log,
            death_signal=SIGINT,
            stop_signal=SIGINT,
            account=self.home.account,
        )

    def ready(self, pid: int) -> bool:
        """By the line of its lock file that PostgreSQL keeps for those who wait."""
        lines = self._lock_lines()
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _initialise(self) -> None:
        """Into a draft that is renamed when it is whole: a start that is killed here is simply made again."""
        draft = self.home.root / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        make_private(draft, self.home.account)
        argv = (str(self.binaries.initdb), "-D", str(draft), "-U", ROLE, "-A", "trust", "-E", "UTF8", *self._locale())
        sync = () if self.fsync else ("--no-sync",)
        done = run_to_end(
            Program("initdb", argv + sync, PLAIN_ENVIRONMENT, cwd=draft, account=self.home.account), timeout_s=120
        )
        if done.returncode != 0:
            raise CannotStart(f"initdb ({self.binaries.source}) failed:\n{done.stdout.strip()}")
        with (draft / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(f"\n# Written at each start; a line below this one overrides it.\n{_INCLUDE}\n")
        draft.rename(self.home.postgres)

    def _locale(self) -> tuple[str, ...]:
        provider = ("--locale-provider=builtin",) if self._major() >= _BUILTIN_LOCALE_SINCE else ()
        return (*provider, "--locale=C.UTF-8")

    def _major(self) -> int:
        asked = Program("version", (str(self.binaries.postgres), "--version"), PLAIN_ENVIRONMENT)
        words = run_to_end(asked, timeout_s=20).stdout.split()
        try:
            return int(words[2].split(".")[0])
        except (IndexError, ValueError):
            raise CannotStart(f"{self.binaries.postgres} --version says {' '.join(words)!r}, no version.") from None

    def _check_version(self) -> None:
        made_by = (self.home.postgres / "PG_VERSION").read_text(encoding="ascii").strip()
        if made_by != str(major := self._major()):
            raise CannotStart(
                f"{self.home.postgres} was made by PostgreSQL {made_by}, and {self.binaries.source} is {major}: "
                f"set LANEWAY_POSTGRES_BIN to programs of version {made_by}."
            )

    def _write_settings(self) -> None:
        settings = {**_SETTINGS, "unix_socket_directories": str(self.home.sockets)}
        settings["max_connections"] = str(self.max_connections)
        settings["fsync"] = settings["full_page_writes"] = "on" if self.fsync else "off"
        lines = [f"{name} = '{value}'" for name, value in settings.items()]
        text = "\n".join(["# Written by laneway at each start: change postgresql.conf instead.", *lines, ""])
        path = self.home.postgres / "laneway.conf"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)

    def _clear_stale(self) -> None:
        """Undo what a crash left. Raises StillRunning when a server of an earlier parent has not ended yet.

        Only one parent holds the directory, so a live server here is an orphan on its way out. A process number that
        now belongs to another program (after a restart of the machine or container) would stop PostgreSQL: the lock
        file then gets our number, which PostgreSQL takes for a false match and still looks for shared memory in use.
        """
        lines = self._lock_lines()
        if lines and lines[0].isdecimal() and _alive(int(lines[0])):
            if self._is_ours(int(lines[0])):
                raise StillRunning(f"PostgreSQL (process {lines[0]}) still runs on {self.home.postgres}")
            self._lock_file.write_text("\n".join([str(os.getpid()), *lines[1:], ""]), encoding="utf-8")
        for socket in self.home.sockets.glob(".s.PGSQL.*"):
            socket.unlink(missing_ok=True)

    @property
    def _lock_file(self) -> Path:
        return self.home.postgres / "postmaster.pid"

    def _lock_lines(self) -> list[str]:
        try:
            return self._lock_file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _is_ours(self, pid: int) -> bool:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except FileNotFoundError:
            return False
        return os.fsencode(self.home.postgres) in command.split(b"\0")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
