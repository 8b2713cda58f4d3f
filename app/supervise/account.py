"""Which user the embedded servers run as, and what this user can reach. Only root has to care."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from app.supervise.children import Account, Program, run_to_end
from app.supervise.errors import CannotStart

PLAIN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"}
_SHELL = "/bin/sh"


def server_account(cluster: Path) -> Account | None:
    """Root runs the servers as the owner of an existing cluster, else as nobody; anyone else as himself (None).

    Raises CannotStart when the cluster belongs to somebody else, or root has no user to turn into.
    """
    owner = cluster.stat() if cluster.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise CannotStart(
                f"{cluster} belongs to user {owner.st_uid}: start as that user, or choose another --data."
            )
        return None
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise CannotStart("PostgreSQL refuses root, and there is no user nobody: start as another user.") from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def reaches(account: Account | None, folder: Path) -> bool:
    """Whether that user can enter the folder; found by trying, as modes alone do not tell."""
    return account is None or can_run(account, _SHELL, "-c", 'cd -P -- "$1"', "sh", str(folder))


def can_run(account: Account, *argv: str) -> bool:
    """Whether the program runs as that user and ends with 0; it gets 20 s."""
    program = Program("check", argv, PLAIN_ENVIRONMENT, cwd=Path("/"), account=account)
    return run_to_end(program, timeout_s=20).returncode == 0


def give(path: Path, account: Account | None) -> None:
    """Hand a folder of ours to the servers' user."""
    if account is not None:
        os.chown(path, account.uid, account.gid)
