"""The scripts that one pool's state in Redis is read and changed by, and the keys they have there."""

from __future__ import annotations

from app.gateway.pools.adaptive import SOURCE
from app.gateway.redis.scripts import Script, script, source

PREFIX = "laneway:pool:"


def pool_keys(prefix: str, pool: str) -> tuple[str, str, str]:
    """State, leases and the root of all other keys; they share a hash tag."""
    root = f"{prefix}{{{pool}}}:"
    return f"{root}state", f"{root}leases", root


def names_key(prefix: str) -> str:
    """The set of all pools that were ever used."""
    return f"{prefix}names"


def rings(prefix: str) -> str:
    """The channels on which a process is told of its grants begin with this; its name follows."""
    return f"{prefix}ring:"


def _with_rules(*names: str) -> Script:
    return script(f"{SOURCE}\n{source(*names)}")


TURN = _with_rules("pools/open.lua", "pools/line.lua", "pools/turn.lua")
LOOK = _with_rules("pools/open.lua", "pools/line.lua", "pools/look.lua")
ROOM = _with_rules("pools/open.lua", "pools/line.lua", "pools/room.lua")
STEER = _with_rules("pools/open.lua", "pools/steer.lua")
