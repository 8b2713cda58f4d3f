"""What of a database's invariants does not hold: each process test, and each experiment with faults, ends with this."""

from __future__ import annotations

from app.ops.verify import told, verified
from app.store.invariants.inspection import Scope


async def broken(url: str) -> list[str]:
    """A line for each invariant that does not hold; none is right."""
    return [told(finding) async for finding in verified(url, Scope(grace_s=15)) if not finding.holds]
