"""What is set aside for one call, and whom the call is charged to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from app.domain.budget import Cap, Spender
from app.gateway.budgets.purse import Purse
from app.store.ledger import LostCall

_IDS = ("id", "project_id", "key_id", "job_id")


@dataclass(frozen=True, slots=True)
class Charge:
    """Whose call it is, down to the step and the attempt; `purse` is the run's own budget."""

    spender: Spender
    version: str
    attempt: int
    purse: Purse | None = None
    step: str = ""
    step_key: str = ""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Nano-dollars set aside for the call with this id in each of these budgets; none: it is only its id."""

    call_id: UUID
    nanos: int = 0
    caps: tuple[Cap, ...] = ()
    ttl_s: float = 0.0
    lost: LostCall | None = None
    purse: Purse | None = None

    @property
    def about(self) -> str:
        """What the ledger has to know should nothing more be heard of the call."""
        if self.lost is None:
            return "{}"
        # Redis holds nothing that an author may have made of the content, as a step's key.
        plain = {name: getattr(self.lost, name) for name in LostCall.__slots__ if name != "step_key"}
        # The database driver's own kind of UUID is none to orjson.
        return orjson.dumps(plain, default=str).decode()

    @property
    def counters(self) -> list[dict[str, Any]]:
        """As the till's script takes them."""
        return [told(cap) for cap in self.caps]


def told(cap: Cap) -> dict[str, Any]:
    """A counter and its cap, as the till's script takes them."""
    counter = cap.counter
    starts, ends = (int(moment.timestamp() * 1000) for moment in (counter.start, counter.end))
    return {"name": counter.name, "cap": cap.nanos, "starts": starts, "ends": ends}


def lost_call(about: str, nanos: int) -> LostCall:
    """The call that `Reservation.about` tells of; `nanos` are what is set aside for it by now."""
    plain = orjson.loads(about)
    read = {name: UUID(plain[name]) if plain[name] is not None else None for name in _IDS}
    known = {name: value for name, value in plain.items() if name in LostCall.__slots__}
    return LostCall(**{"step_key": "", **known, **read, "reserved_nanos": nanos})
