"""The command lines of the children, told apart by ` serve`, ` work`, ` migrate` and ` simulate`."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from app.settings import LANES

EXIT_CONFIG = 78
"""A child ends with this code when starting it again as things stand cannot help (EX_CONFIG of sysexits.h)."""

_APP = (sys.executable, "-m", "app")


@dataclass(frozen=True, slots=True)
class Commands:
    """`serve` is followed by `--fd N`, a listening socket; `simulate` by `--host H --port P`."""

    serve: tuple[str, ...] = (*_APP, "serve")
    work: tuple[str, ...] = (*_APP, "work", "--lanes", ",".join(LANES))
    migrate: tuple[str, ...] = (*_APP, "migrate")
    simulate: tuple[str, ...] = (*_APP, "simulate")
