"""The children of one claimed job: started in portions, each once, and read when all have ended."""

from __future__ import annotations

from typing import Any, TypeVar, get_args

from app.bell.ring import Ring
from app.domain.clock import Clock
from app.domain.crash import crash_here
from app.domain.errors import ProcessingError
from app.domain.job import Claimed
from app.engine.catalogue import Catalogue, UnknownWorkflow
from app.engine.children import ChildEnd, Ended, Spawn
from app.engine.journal import OwnershipLost
from app.engine.workflow import LANES, Workflow
from app.store.children import Children, ChildrenOf, ChildRow
from app.store.database import StoreAway
from app.telemetry.logs import log

T = TypeVar("T")
_RETRY_S = 0.25
_ENDS: dict[str, Ended] = {word: word for word in get_args(Ended)}


class SqlChildren:
    """Children under the job's fence. A database that is away is waited for, as the journal does."""

    def __init__(self, store: Children, catalogue: Catalogue, job: Claimed, ring: Ring, clock: Clock) -> None:
        self._store = store
        self._catalogue = catalogue
        self._job = job
        self._ring = ring
        self._clock = clock

    def declared(self, workflow: str) -> Workflow[Any, Any]:
        """The version of it that runs by default. Raises ProcessingError when the catalogue has none."""
        return self._known(workflow, None)

    async def ends(self, spawn: Spawn) -> list[ChildEnd] | None:
        """Start those that are missing; how all ended, None while one is open.

        Raises OwnershipLost, ProcessingError.
        """
        self._known(spawn.workflow.name, spawn.workflow.version)
        while True:
            try:
                return await self._ends(spawn)
            except StoreAway as error:
                log("jobs").warning("children wait", error=str(error))
                await self._clock.sleep(_RETRY_S)

    async def _ends(self, spawn: Spawn) -> list[ChildEnd] | None:
        row = _owned(await self._store.spawn(self._job, spawn.name, spawn.key, spawn.digest))
        common = self._common(spawn)
        while row.started < len(spawn.inputs):
            before = row.started
            row = _owned(await self._store.start(self._job, row, common, spawn.inputs))
            crash_here("children.started")
            self._ring.ring(common.lane, row.started - before)
        if row.reviving and (revived := _owned(await self._store.revive(self._job, row))):
            self._ring.ring(common.lane, revived)
            return None
        ended = None if row.open else await self._store.ends(row)
        return None if ended is None else [_end(child) for child in ended]

    def _common(self, spawn: Spawn) -> ChildrenOf:
        workflow = spawn.workflow
        return ChildrenOf(
            workflow=workflow.name,
            version=workflow.version,
            # Its workflow's lane, but no faster one than its parent's.
            lane=max(workflow.lane, self._job.lane, key=LANES.index),
            retain_s=workflow.retain_s,
            max_cost_nanos=workflow.max_cost_nanos,
            parent_span_id=spawn.trace.span_id,
        )

    def _known(self, workflow: str, version: str | None) -> Workflow[Any, Any]:
        try:
            return self._catalogue.get(workflow, version)
        except UnknownWorkflow as error:
            text = f"{error}: only a workflow of the catalogue can be spawned; add its module to LANEWAY_WORKFLOWS"
            raise ProcessingError(text) from None


def _owned(found: T | None) -> T:
    """What the store answered. Raises OwnershipLost when the fence refused."""
    if found is None:
        raise OwnershipLost
    return found


def _end(child: ChildRow) -> ChildEnd:
    return ChildEnd(_ENDS[child.status.value], child.id, child.output, child.error)
