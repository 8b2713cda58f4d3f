"""All children that are kept running, and the order in which they stop: workers and APIs, simulator, servers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from uuid import UUID

from app.supervise.children import Program
from app.supervise.family import PROCESS_ID
from app.supervise.keeper import Ended, Keeper, OnEnd
from app.supervise.plan import Release, Say
from app.supervise.server import Server
from app.supervise.watch import Child, Watch

_RELEASE_S = 5.0
_SIMULATOR_STOP_S = 5.0
_SERVER_STOP_S = 15.0


class Crew:
    """`on_end` hears of each unrequested end; `release` is then called for a child that had a process id."""

    def __init__(self, watch: Watch, say: Say, release: Release, on_start: Callable[[], None], on_end: OnEnd) -> None:
        self._watch, self._say, self._release = watch, say, release
        self._heard_start, self._heard_end = on_start, on_end
        self._servers: list[Keeper] = []
        self._simulators: list[Keeper] = []
        self._children: list[Keeper] = []
        self._releasing: set[asyncio.Task[None]] = set()
        self.pids: dict[str, int] = {}
        self.database_url = ""

    def keep_server(self, server: Server) -> Keeper:
        """Start an embedded server, prepared anew at each start."""

        def begin() -> Program:
            server.prepare()
            return server.program()

        return self._keep(self._servers, begin)

    def keep_simulator(self, begin: Callable[[], Program]) -> None:
        """Start the simulated provider."""
        self._keep(self._simulators, begin)

    def keep_child(self, begin: Callable[[], Program]) -> None:
        """Start an API or a worker; `begin` gives each start a process id of its own."""
        self._keep(self._children, begin)

    def hang_up(self) -> None:
        """Pass SIGHUP on to APIs and workers."""
        for keeper in self._children:
            if keeper.child:
                keeper.child.send(signal.SIGHUP)

    async def drain(self, drain_s: float, hurry: asyncio.Event) -> None:
        """Stop everything. Workers and APIs get that many seconds, or until `hurry`, to finish what they hold."""
        killed = await asyncio.gather(*(keeper.stop(drain_s, hurry) for keeper in self._children))
        for keeper, was_killed in zip(self._children, killed, strict=True):
            if was_killed and keeper.child:
                self._let_go(keeper.child)
        if self._releasing:
            await asyncio.wait(self._releasing)
        never = asyncio.Event()
        for keeper in self._simulators:
            await keeper.stop(_SIMULATOR_STOP_S, hurry)
        for keeper in reversed(self._servers):
            await keeper.stop(_SERVER_STOP_S, never)

    def _keep(self, group: list[Keeper], begin: Callable[[], Program]) -> Keeper:
        keeper = Keeper(begin, self._watch, self._say, self._started, self._ended)
        group.append(keeper)
        keeper.start()
        return keeper

    def _started(self, child: Child) -> None:
        self.pids[child.program.name] = child.pid
        self._heard_start()

    def _ended(self, ended: Ended) -> None:
        self._heard_end(ended)
        self._let_go(ended.child)

    def _let_go(self, child: Child) -> None:
        """Release beside the restart, which waits for nothing."""
        held = child.program.environment.get(PROCESS_ID)
        if held is not None:
            task = asyncio.create_task(self._released(child.program.name, UUID(held)))
            self._releasing.add(task)
            task.add_done_callback(self._releasing.discard)

    async def _released(self, name: str, process_id: UUID) -> None:
        try:
            async with asyncio.timeout(_RELEASE_S):
                await self._release(self.database_url, process_id)
        except Exception as error:
            self._say(f"{name}: its lease was not released and will run out by itself: {error!r}")
