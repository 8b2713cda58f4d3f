"""Runs one benchmark from the command line and prints its table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from bench.figures import Row
from bench.page import detail
from bench.place import Ground, ground

Rows = Callable[[Ground, int, int], list[Row]]
ROUNDS = 5


def alone(rows: Rows, count: int) -> None:
    """`--rounds` and `--count` over these."""
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--count", type=int, default=count)
    given = options.parse_args()
    with ground() as servers:
        for row in rows(servers, given.rounds, given.count):
            sys.stdout.write(f"{detail(row)}\n")
