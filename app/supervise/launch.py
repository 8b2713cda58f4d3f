"""Becomes another program that dies with its parent: drops credentials, ties itself to the parent, then execs.

Run by its path as `python -I -S launch.py SIGNAL PARENT_PID UID:GID|- PROGRAM ARGUMENT...`; imports nothing of app.
The order is the point: a change of credentials clears PR_SET_PDEATHSIG, so that comes after it; the parent may have
died before it was set, so getppid is read last. exec of a program without set-user-ID keeps the tie.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_CANNOT = 126


def main(arguments: list[str]) -> int:
    """Never returns when the program starts; else 126, with the reason on standard error."""
    death_signal, parent, account, *argv = arguments
    try:
        if account != "-":
            _become(account)
        _tie(int(death_signal), int(parent))
        _default_signals()
        os.execv(argv[0], argv)
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]}: {error}\n")
    return _CANNOT


def _become(account: str) -> None:
    uid, gid = (int(part) for part in account.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _tie(death_signal: int, parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(0)


def _default_signals() -> None:
    """Python ignores two at its start, and what is ignored stays ignored after exec.

    So does a hangup, until the program listens to it: the parent passes it on to children that may have just begun.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
