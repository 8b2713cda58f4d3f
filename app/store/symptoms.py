"""What may be wrong, asked of the database: due work that nobody claims, and what failed of late."""

from __future__ import annotations

from dataclasses import dataclass

from app.store.database import Database
from app.store.suspect import SUSPECT
from app.store.turn import UNCLAIMED

# Counting ends here: more is not worse.
_MOST = 1000
# What a claim may take, so neither paused work nor off-peak jobs by day, nor what is taken one by one.
_UNCLAIMED = f"""
select extract(epoch from now() - due_at)::float8 from jobs
where lane = $1 and {UNCLAIMED} and due_at <= now() - make_interval(secs => $2) and ($3 or not off_peak)
    and workflow <> all(array(select name from pauses where kind = 'workflow'))
    and (expire_by is null or expire_by > now()) and not ({SUSPECT})
limit 1
"""
# A receiver that hangs may hold up its own deliveries for good reason; no attempt at all has none.
_UNSENT = """
select extract(epoch from now() - min(next_at))::float8 from deliveries
where status in ('pending', 'failed') and worker_id is null and next_at <= now() - make_interval(secs => $1)
    and not exists (select from deliveries where worker_id is not null)
"""


def _count(what: str) -> str:
    return f"select count(*) from (select {what} limit {_MOST}) few"


_OF_LATE = "ended_at > now() - make_interval(secs => $1)"
_FAILED = f"""
select ({_count(f"from jobs where status = 'failed' and disposition = 'dead_letter' and {_OF_LATE}")}) as dead_letters,
    ({_count(f"from jobs where status = 'failed' and disposition = 'quarantine' and {_OF_LATE}")}) as quarantined,
    ({_count(f"from deliveries where status = 'dead' and {_OF_LATE}")}) as webhooks
"""


@dataclass(frozen=True, slots=True)
class Failed:
    """How many came to such an end within a window, counted up to a thousand each."""

    dead_letters: int
    quarantined: int
    webhooks: int


class Symptoms:
    """The door for these questions. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unclaimed_s(self, lane: str, older_than_s: float, off_peak_open: bool) -> float | None:
        """For how long a job of the lane has been claimable that is older than that; None when there is none."""
        async with self._database.connection() as connection:
            found = await connection.fetchval(_UNCLAIMED, lane, older_than_s, off_peak_open)
        return None if found is None else float(found)

    async def unsent_s(self, older_than_s: float) -> float | None:
        """The same for webhooks to send, while none is being sent at all."""
        async with self._database.connection() as connection:
            found = await connection.fetchval(_UNSENT, older_than_s)
        return None if found is None else float(found)

    async def failed(self, window_s: float) -> Failed:
        """What failed within the last `window_s`."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_FAILED, window_s)
        assert row is not None
        return Failed(**dict(row))
