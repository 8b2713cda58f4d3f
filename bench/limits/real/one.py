"""One scenario with one seed, in a process of its own: `python -m bench.limits.real.one NAME --out FILE`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from bench.limits.peers import PEERS
from bench.limits.real.kept import kept
from bench.limits.real.plan import PLANS, shortened
from bench.limits.real.together import room, together


def main() -> None:
    """Writes what it came to as JSON. SIGTERM ends it and everything that it started."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=PLANS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="end it sooner")
    parser.add_argument("--alone", action="store_true", help="without the do-it-yourself ways")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    scenario = shortened(PLANS[given.scenario], given.seconds)
    with room() as folder:
        results = together(scenario, given.seed, folder, () if given.alone else tuple(PEERS))
    given.out.write_text(json.dumps(kept(scenario, given.seed, results)), encoding="utf-8")


if __name__ == "__main__":
    main()
