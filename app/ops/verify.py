"""Whether the database keeps what the service promises: every invariant, looked at while everything runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from app.domain.clock import SYSTEM_CLOCK
from app.store.invariants import CHECKS
from app.store.invariants.inspection import Finding, Scope, open_inspection

__all__ = ["CHECKS", "scope_of", "told", "verified"]


async def verified(url: str, scope: Scope) -> AsyncIterator[Finding]:
    """One finding for each invariant, as it comes. Raises StoreAway."""
    async with open_inspection(url) as inspection:
        async for finding in inspection.findings(CHECKS, scope):
            yield finding


def scope_of(since_s: float | None, timeout_s: float) -> Scope:
    """The jobs submitted in the last `since_s` seconds, all where it is None; so many seconds for each check."""
    since = None if since_s is None else SYSTEM_CLOCK.now() - timedelta(seconds=since_s)
    return Scope(since, timeout_s)


def told(finding: Finding) -> str:
    """A breach in one line."""
    return f"{finding.check.name}: {finding.check.means}: {finding.count} not: {', '.join(finding.first)}"
