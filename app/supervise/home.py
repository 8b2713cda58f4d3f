"""Where the embedded servers keep their files: in the data directory, or elsewhere when their user can't reach it."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.supervise.account import give, reaches, server_account
from app.supervise.children import Account
from app.supervise.copies import SYSTEM_STORE
from app.supervise.errors import CannotStart

PARTS = ("postgres", "valkey")
NOTE = "SERVERS-ARE-ELSEWHERE"
# A socket's path is at most 107 bytes, and readers of URLs differ in how they unquote one.
_LONGEST_SOCKET_FOLDER = 85
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of the servers' files, the folder of their sockets, and who they run as."""

    root: Path
    sockets: Path
    account: Account | None

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        return self.root / "valkey"


def open_home(data: Path, store: Path = SYSTEM_STORE) -> Home:
    """The home that belongs to the data directory (which exists), made at its first use. Raises CannotStart."""
    cluster = data / "postgres"
    account = server_account(cluster)
    root = _linked(cluster) or _root(data, account, store)
    home = Home(root, _socket_folder(root, account), account)
    for folder in (home.valkey, home.sockets):
        _private_folder(folder, account)
    return home


def make_private(path: Path, account: Account | None) -> None:
    """A new folder that only the servers' user (and root) can enter. Raises FileExistsError."""
    path.mkdir(mode=0o700)
    give(path, account)


def _linked(cluster: Path) -> Path | None:
    """Where an earlier start put the servers, None when there was none or they are here."""
    if not cluster.is_symlink():
        return None
    target = Path(os.readlink(cluster))
    if not target.parent.is_dir():
        raise CannotStart(f"{cluster} leads to {target}, which is gone: restore it, or remove the link to start empty.")
    return target.parent


def _root(data: Path, account: Account | None, store: Path) -> Path:
    if reaches(account, data):
        return data
    if (data / "postgres").exists():
        raise CannotStart(
            f"User {account and account.uid} cannot reach {data}/postgres any more: open the folders above."
        )
    return _elsewhere(data, store)


def _elsewhere(data: Path, store: Path) -> Path:
    """A new folder in the store, with links and a line in the data directory, and a line there that leads back."""
    store.mkdir(mode=0o755, parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix=f"{_slug(data)}-", dir=store))
    root.chmod(0o711)
    (root / "BELONGS-TO").write_text(f"{data}\n", encoding="utf-8")
    line = f"PostgreSQL and Valkey do not run as root and cannot reach this folder; their files are in {root}\n"
    (data / NOTE).write_text(line, encoding="utf-8")
    for part in reversed(PARTS):
        (data / part).unlink(missing_ok=True)
        (data / part).symlink_to(root / part)
    return root


def _slug(data: Path) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", data.name).strip("-")[:20] or "data"


def _socket_folder(root: Path, account: Account | None) -> Path:
    """Beside the files; in /tmp, under a name made from the path, where the path is too long or odd for a socket."""
    plain = root / "sockets"
    if len(os.fsencode(plain)) <= _LONGEST_SOCKET_FOLDER and _PLAIN_PATH.fullmatch(str(plain)):
        return plain
    return Path("/tmp") / f"laneway-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}"


def _private_folder(path: Path, account: Account | None) -> None:
    """Make it, or make sure that nobody else made it."""
    try:
        make_private(path, account)
    except FileExistsError:
        seen = path.lstat()
        owner = account.uid if account else os.geteuid()
        if not path.is_dir() or path.is_symlink() or seen.st_uid != owner or seen.st_mode & 0o077:
            raise CannotStart(f"{path} is not a private folder of user {owner}: remove it.") from None
