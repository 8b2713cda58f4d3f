"""The leases of one pool that this process holds, and those it has to give back to Redis."""

from __future__ import annotations

from collections.abc import Iterable

from app.gateway.pool import Lease


class Holding:
    """Keeps what is held apart from what Redis may know of: a lease granted while Redis is away is not in Redis."""

    def __init__(self) -> None:
        self._expires_s: dict[str, float] = {}
        self._shared: set[str] = set()
        self._freed: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._expires_s)

    @property
    def to_give_back(self) -> bool:
        """Whether Redis has still to hear of a lease that ended."""
        return bool(self._freed)

    def take(self, lease: Lease, now_s: float) -> None:
        """The lease is in use from now on."""
        self._expires_s[lease.id] = now_s + lease.expires_ms / 1000

    def give_back(self, lease_id: str) -> None:
        """The lease is in use no more, if it ever was."""
        self._expires_s.pop(lease_id, None)
        if lease_id in self._shared:
            self._shared.discard(lease_id)
            self._freed[lease_id] = None

    def mark_shared(self, leases: Iterable[Lease]) -> None:
        """Redis knows of these, or may."""
        self._shared.update(lease.id for lease in leases)

    def freed(self, limit: int) -> list[str]:
        """Leases to give back to Redis, the oldest first."""
        return [lease_id for lease_id, _ in zip(self._freed, range(limit), strict=False)]

    def told(self, freed: Iterable[str]) -> None:
        """Redis has heard that these ended."""
        for lease_id in freed:
            self._freed.pop(lease_id, None)

    def all(self, now_s: float) -> list[Lease]:
        """Everything in use, each with the lifetime that is left."""
        return [Lease(name, max(1, int((expires_s - now_s) * 1000))) for name, expires_s in self._expires_s.items()]
