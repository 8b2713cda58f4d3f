"""The leases of one pool that this process holds, and how those ended that Redis has still to hear of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import orjson

from app.gateway.pools.pool import CallResult, Lease

# Results that wait for Redis; beyond it the oldest are lost, and their leases expire.
MOST_ENDED = 10_000


@dataclass(frozen=True, slots=True)
class Ended:
    """A lease that ended, `at_s` by this process's clock: the mark of its grant (empty: Redis granted nothing), and the
    result (empty: nobody knows).
    """

    id: str
    mark: bytes
    result: bytes
    at_s: float

    def age_ms(self, now_s: float) -> int:
        """How long ago it ended: what is told late is no later for that."""
        return max(0, int((now_s - self.at_s) * 1000))


class Holding:
    """What is in use, and what has ended."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[float, bytes]] = {}
        self._ended: dict[str, Ended] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, lease_id: str) -> bool:
        return lease_id in self._held

    @property
    def to_tell(self) -> bool:
        """Whether Redis has still to hear of a lease that ended."""
        return bool(self._ended)

    def take(self, lease: Lease, mark: bytes, now_s: float) -> None:
        """The lease is in use from now on."""
        self._held[lease.id] = (now_s + lease.expires_ms / 1000, mark)

    def end(self, lease_id: str, result: CallResult | None, now_s: float) -> None:
        """The lease is in use no more, if it ever was."""
        _, mark = self._held.pop(lease_id, (0.0, b""))
        if lease_id in self._ended:
            return
        self._ended[lease_id] = Ended(lease_id, mark, b"" if result is None else as_json(result), now_s)
        if len(self._ended) > MOST_ENDED:
            del self._ended[next(iter(self._ended))]

    def ended(self, most: int) -> list[Ended]:
        """Those that Redis has still to hear of, the oldest first; `told` says that it has."""
        return list(islice(self._ended.values(), most))

    def told(self, ended: Iterable[Ended]) -> None:
        """Redis has heard of these."""
        for one in ended:
            self._ended.pop(one.id, None)

    def all(self, now_s: float) -> list[Lease]:
        """Everything in use, each with the lifetime that is left."""
        return [Lease(name, max(1, int((until_s - now_s) * 1000))) for name, (until_s, _) in self._held.items()]


def as_json(result: CallResult) -> bytes:
    """The result as the rate controller takes it: what is not known is left out."""
    found = {
        "status": result.status,
        "took": result.took_s,
        "used": result.used,
        "retry_after": result.retry_after_s,
        "label": result.hints.label,
        "slow": result.slow or None,
        "refused": result.refused or None,
    }
    for dimension, limit, left in result.hints.limits:
        found |= {f"limit_{dimension}": limit, f"left_{dimension}": left}
    return orjson.dumps({name: value for name, value in found.items() if value is not None})
