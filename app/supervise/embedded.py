"""The servers that a plan asks to embed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from app.supervise.binaries import find_postgres, find_valkey
from app.supervise.copies import usable_postgres, usable_valkey
from app.supervise.errors import CannotStart, StillRunning
from app.supervise.folder import log_path
from app.supervise.home import Home, open_home
from app.supervise.plan import Plan
from app.supervise.postgres import Postgres
from app.supervise.server import Server
from app.supervise.valkey import Valkey

_ORPHAN_TIMEOUT_S = 20.0
_CONNECTIONS_EACH = 15
_SPARE_CONNECTIONS = 40
_LEAST_CONNECTIONS = 100


@dataclass(frozen=True, slots=True)
class Servers:
    """The embedded servers; None where an address was given instead."""

    postgres: Postgres | None
    valkey: Valkey | None

    @property
    def embedded(self) -> list[Server]:
        return [server for server in (self.postgres, self.valkey) if server is not None]


def open_servers(plan: Plan) -> Servers:
    """Find the programs and the place of what is to be embedded; nothing is started. Raises CannotStart."""
    if plan.database_url and plan.redis_url:
        return Servers(None, None)
    home = open_home(plan.data, plan.store)
    return Servers(
        postgres=None if plan.database_url else _postgres(plan, home),
        valkey=None if plan.redis_url else _valkey(plan, home),
    )


async def prepare(server: Server) -> None:
    """Prepare its first start; a server of an earlier parent gets 20 s to end. Raises CannotStart."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _ORPHAN_TIMEOUT_S
    while True:
        try:
            return server.prepare()
        except StillRunning as error:
            if loop.time() > until:
                raise CannotStart(f"{error}, though no `laneway up` holds it: end that process first.") from None
        await asyncio.sleep(0.05)


def _postgres(plan: Plan, home: Home) -> Postgres:
    found = usable_postgres(find_postgres(plan.postgres_bin), home.account, plan.store)
    wanted = _SPARE_CONNECTIONS + _CONNECTIONS_EACH * (plan.api + plan.workers)
    return Postgres(home, found, log_path(plan.data, "postgres"), max_connections=max(_LEAST_CONNECTIONS, wanted))


def _valkey(plan: Plan, home: Home) -> Valkey:
    found = usable_valkey(find_valkey(plan.valkey_bin), home.account, plan.store)
    return Valkey(home, found, log_path(plan.data, "valkey"))
