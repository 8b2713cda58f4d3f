"""The scripts that one pool's state in Redis is read and changed by: the rate controller's rules and what is around."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from app.gateway.adaptive import SOURCE

PREFIX = "laneway:pool:"


@dataclass(frozen=True, slots=True)
class Script:
    """A text that Redis keeps under its digest."""

    text: str
    sha: str

    async def run(self, redis: Redis, prefix: str, pool: str, arguments: list[str | int | bytes]) -> Any:
        """What it answers for that pool; it is loaded where Redis has lost it. Raises RedisError, OSError."""
        keys = pool_keys(prefix, pool)
        command = ("EVALSHA", self.sha, len(keys), *keys, *arguments)
        try:
            return await redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except NoScriptError:
            await redis.script_load(self.text)
            return await redis.execute_command(*command)  # type: ignore[no-untyped-call]


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


def _script(*parts: str) -> Script:
    texts = [files("app.gateway").joinpath(part).read_text(encoding="utf-8") for part in parts]
    text = "\n".join([SOURCE, *texts])
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


TURN = _script("pool_open.lua", "pool_line.lua", "pool_turn.lua")
LOOK = _script("pool_open.lua", "pool_line.lua", "pool_look.lua")
STEER = _script("pool_open.lua", "pool_steer.lua")
