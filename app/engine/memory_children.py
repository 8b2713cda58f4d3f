"""Children in memory: for tests of workflows that spawn, run one after the other while their parent is parked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from app.domain import ids
from app.domain.errors import ProcessingError
from app.engine.catalogue import Catalogue, UnknownWorkflow
from app.engine.children import ChildEnd, Spawn
from app.engine.outcome import Failed, Succeeded
from app.engine.workflow import Workflow

ToTheEnd = Callable[[Workflow[Any, Any], bytes], Awaitable[Succeeded | Failed]]


class MemoryChildren:
    """The children of one job."""

    def __init__(self, catalogue: Catalogue, to_the_end: ToTheEnd) -> None:
        self._catalogue = catalogue
        self._to_the_end = to_the_end
        self._ends: dict[tuple[str, str], list[ChildEnd]] = {}
        self._waiting: list[Spawn] = []

    def declared(self, workflow: str) -> Workflow[Any, Any]:
        """The workflow of that name. Raises ProcessingError for one that the test did not name."""
        try:
            return self._catalogue.default(workflow)
        except UnknownWorkflow as error:
            raise ProcessingError(f"{error}; give it to the test: run(..., workflows=[...])") from None

    async def ends(self, spawn: Spawn) -> list[ChildEnd] | None:
        """Their ends, None until `run_waiting` has run them."""
        if not spawn.inputs:
            return []
        found = self._ends.get((spawn.name, spawn.key))
        if found is None:
            self._waiting.append(spawn)
        return found

    async def run_waiting(self) -> bool:
        """Run the children that were started since; whether there were any."""
        waiting, self._waiting = self._waiting, []
        for spawn in waiting:
            self._ends[spawn.name, spawn.key] = [await self._run(spawn, body) for body in spawn.inputs]
        return bool(waiting)

    async def _run(self, spawn: Spawn, body: bytes) -> ChildEnd:
        workflow = spawn.workflow
        if not isinstance(workflow, Workflow):
            raise TypeError(f"step {spawn.name!r} spawns {workflow!r}, which is no workflow")
        outcome = await self._to_the_end(workflow, body)
        if isinstance(outcome, Succeeded):
            return ChildEnd("succeeded", ids.uuid7(), output=outcome.output)
        return ChildEnd("expired" if outcome.expired else "failed", ids.uuid7(), error=outcome.failure)
