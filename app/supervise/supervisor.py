"""The parent: starts everything in order, keeps it running, stops it in the reverse order, leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Coroutine
from contextlib import ExitStack
from functools import partial
from typing import Any

from app.supervise.banner import banner
from app.supervise.commands import Commands
from app.supervise.crew import Crew
from app.supervise.embedded import Servers, open_servers, prepare
from app.supervise.errors import CannotStart
from app.supervise.family import Family
from app.supervise.folder import kept_key, open_data, remove_note, write_note
from app.supervise.keeper import Ended, Keeper
from app.supervise.lock import only_one
from app.supervise.plan import Plan, Release, Say
from app.supervise.port import answers, free_port, listen, reachable, url_of
from app.supervise.server import Server
from app.supervise.stop import Stop
from app.supervise.verdict import is_fatal, refusal
from app.supervise.watch import Watch

_SERVER_START_S = 60.0
_API_START_S = 60.0
_SERVERS = ("postgres", "valkey")


async def supervise(plan: Plan, release: Release, say: Say, commands: Commands | None = None) -> int:
    """Run until asked to stop; 0 after an orderly stop, else the code for the shell, the reason said.

    Main thread only, on asyncio's own event loop.
    """
    try:
        open_data(plan.data)
        with ExitStack() as held:
            held.enter_context(only_one(plan.data))
            watch, stop = Watch(), Stop()
            held.enter_context(watch.listening())
            listener = held.enter_context(listen(plan.host, plan.port))
            supervisor = _Supervisor(plan, commands or Commands(), watch, stop, say, release, listener)
            held.enter_context(stop.listening(supervisor.reload))
            await supervisor.run()
    except CannotStart as error:
        say(str(error))
        return error.exit_code
    except OSError as error:
        say(f"Cannot start: {error}")
        return 1
    return 0


class _Supervisor:
    def __init__(
        self,
        plan: Plan,
        commands: Commands,
        watch: Watch,
        stop: Stop,
        say: Say,
        release: Release,
        listener: socket.socket,
    ) -> None:
        self._plan, self._commands = plan, commands
        self._watch, self._stop, self._say, self._listener = watch, stop, say, listener
        self._crew = Crew(watch, say, release, self._write_note, self._ended)
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._note: dict[str, object] = {}

    async def run(self) -> None:
        """Start, serve until asked to stop, drain. Raises CannotStart, everything being stopped."""
        try:
            await self._until_stopped(self._start())
            await self._until_stopped(self._stop.asked.wait())
            self._say(f"Stopping: up to {self._plan.drain_s:g} s to finish what runs; Ctrl-C again to end it now.")
        finally:
            self._failure.cancel()
            self._listener.close()
            await self._crew.drain(self._plan.drain_s, self._stop.hurry)
            remove_note(self._plan.data)

    def reload(self) -> None:
        """Have the children read their configuration again; those that only begin do so anyway."""
        if self._note:
            self._say("Reading the configuration again.")
            self._crew.hang_up()

    async def _until_stopped(self, work: Coroutine[Any, Any, object]) -> None:
        """Until the work is done or a stop is asked for. Raises what the work raises, and CannotStart for a failure."""
        task, stop = asyncio.create_task(work), asyncio.create_task(self._stop.asked.wait())
        first: set[asyncio.Future[Any]] = {task, stop, self._failure}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        task.cancel()
        await asyncio.wait({task})
        if self._failure.done():
            self._failure.result()
        if not task.cancelled():
            task.result()

    async def _start(self) -> None:
        servers = open_servers(self._plan)
        await self._start_servers(servers)
        family = self._make_family(servers)
        self._crew.database_url = family.database_url
        await self._migrate(family)
        if family.simulator_url:
            self._crew.keep_simulator(family.simulate)
        for number in range(1, self._plan.api + 1):
            self._crew.keep_child(partial(family.serve, f"api-{number}", self._listener))
        for number in range(1, self._plan.workers + 1):
            self._crew.keep_child(partial(family.work, f"worker-{number}"))
        await self._until_serving()
        self._announce(family, servers)

    async def _start_servers(self, servers: Servers) -> None:
        started: list[tuple[Server, Keeper]] = []
        for server in servers.embedded:
            await prepare(server)
            started.append((server, self._crew.keep_server(server)))
        for server, keeper in started:
            await self._until_ready(server, keeper)

    async def _until_ready(self, server: Server, keeper: Keeper) -> None:
        until = asyncio.get_running_loop().time() + _SERVER_START_S
        while keeper.child is None or not server.ready(keeper.child.pid):
            if asyncio.get_running_loop().time() > until:
                raise CannotStart(f"{server.name} was not ready within {_SERVER_START_S:g} s: see its log.")
            await asyncio.sleep(0.02)

    def _make_family(self, servers: Servers) -> Family:
        return Family(
            plan=self._plan,
            commands=self._commands,
            database_url=servers.postgres.url if servers.postgres else self._plan.database_url,
            redis_url=servers.valkey.url if servers.valkey else self._plan.redis_url,
            api_key=self._plan.bootstrap_key or kept_key(self._plan.data),
            simulator_port=free_port("127.0.0.1") if self._plan.simulate else None,
        )

    async def _migrate(self, family: Family) -> None:
        child, code = await self._watch.run(family.migrate())
        if code != 0:
            raise refusal(child, code, f"exit code {code}")

    async def _until_serving(self) -> None:
        host, port = reachable(self._listener)
        try:
            async with asyncio.timeout(_API_START_S):
                await answers(host, port, "/livez")
        except TimeoutError:
            raise CannotStart(f"No API answered within {_API_START_S:g} s: see {self._plan.data}/logs.") from None

    def _announce(self, family: Family, servers: Servers) -> None:
        url = url_of(*reachable(self._listener))
        self._note = {
            "url": url,
            "docs_url": f"{url}/docs",
            "api_key_path": None if self._plan.bootstrap_key else str(self._plan.data / "api_key"),
            "database_url": family.database_url,
            "redis_url": family.redis_url,
            "simulator_url": family.simulator_url,
            "pid": os.getpid(),
        }
        self._write_note()
        for line in banner(url, self._plan, family, servers):
            self._say(line)

    def _write_note(self) -> None:
        """Keep `up.json` true, once there is something to say."""
        try:
            if self._note:
                write_note(self._plan.data, {**self._note, "children": self._crew.pids})
        except OSError as error:
            self._say(f"up.json is out of date: {error}")

    def _ended(self, ended: Ended) -> None:
        name = ended.child.program.name
        if is_fatal(ended, serving=bool(self._note), server=name in _SERVERS):
            if not self._failure.done():
                self._failure.set_exception(refusal(ended.child, ended.code, ended.how))
        else:
            self._say(f"{name} ended after {ended.lived_s:.1f} s ({ended.how}); starting it again.")
