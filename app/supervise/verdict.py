"""Whether an unrequested end stops the whole start, and in what words."""

from __future__ import annotations

from app.supervise.commands import EXIT_CONFIG
from app.supervise.errors import CannotStart
from app.supervise.folder import last_words
from app.supervise.keeper import Ended
from app.supervise.watch import Child

_FIRST_MOMENTS_S = 10.0
_FIRST_TRIES = 5


def is_fatal(ended: Ended, *, serving: bool, server: bool) -> bool:
    """Once everything serves nothing is fatal, but a refused configuration in a child's first moments.

    Before that, a child that gives up is; a server (a crash may have left something that clears up within seconds)
    and a child that was killed get five tries.
    """
    if ended.code == EXIT_CONFIG and not server:
        return ended.nth == 1 and ended.lived_s < _FIRST_MOMENTS_S
    if serving:
        return False
    return ended.nth >= _FIRST_TRIES or (ended.code > 0 and not server)


def refusal(child: Child, code: int, how: str) -> CannotStart:
    """The end of a child that stops the start, in its own last words."""
    words = last_words(child.program.log, child.log_from)
    return CannotStart(
        f"{child.program.name} could not start ({how}):\n{words}", EXIT_CONFIG if code == EXIT_CONFIG else 1
    )
