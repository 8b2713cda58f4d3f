"""Jobs that are parked for a pool, in a real PostgreSQL."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.domain.job import Claimed, Reason, Status
from app.domain.lane import LANES
from app.domain.park import Room, Standing
from app.store.leaves import Leave
from app.store.parks import Parks
from tests.store.parts import Store

FLOOD = UUID(int=21)
POOL = "main/mini"


class Parked:
    """A lane's jobs, parked for a pool by one worker."""

    def __init__(self, store: Store) -> None:
        self.store, self.worker = store, store.worker()
        self.parks = Parks(store.database)

    async def park(
        self,
        lane: str,
        count: int,
        project: UUID = FLOOD,
        pool: str = POOL,
        priority: int = 5,
        workflow: str = "noop",
    ) -> None:
        """So many more of them."""
        for _ in range(count):
            await self.store.submit(lane, project_id=project, priority=priority, workflow=workflow)
        for _ in range(count):
            job = await self.worker.claims.claim(lane)
            assert job is not None
            until = datetime.now(UTC) + timedelta(hours=1)
            leave = Leave(job, Status.WAITING, reason=Reason.RATE_LIMIT, due_at=until, pool=pool)
            assert await self.worker.leaves.leave(leave) is not None

    async def wake(self, *free: int, standing: tuple[Standing, ...] = ()) -> Counter[str]:
        """How many of each lane were woken by so much room."""
        return Counter(await self.parks.wake(POOL, Room(dict(zip(LANES, free, strict=True)), standing)))

    async def woken(self, lane: str) -> list[Claimed]:
        """Those of the lane that may be claimed now, claimed."""
        found = []
        while (job := await self.worker.claims.claim(lane)) is not None:
            found.append(job)
        return found
