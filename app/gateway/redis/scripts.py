"""Scripts of Redis: a text is sent once, its digest from then on; where Redis has lost it, it is sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

Argument = str | int | float | bytes


@dataclass(frozen=True, slots=True)
class Script:
    """A text that Redis keeps under its digest. Of one that was lost in mid-run, nothing has run."""

    text: str
    sha: str

    async def run(self, redis: Redis, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """What it answers. Raises what the client raises."""
        command = Call(self, keys, arguments).command
        try:
            return await redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except NoScriptError:
            await redis.script_load(self.text)
            return await redis.execute_command(*command)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a script."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[Argument]

    @property
    def command(self) -> tuple[Argument, ...]:
        """As Redis takes it."""
        return "EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.arguments


async def run_all(redis: Redis, calls: Sequence[Call]) -> list[Any]:
    """What each answers, in one round trip; where Redis has lost one of their scripts, all run again.

    Raises what the client raises.
    """
    answers = await _pipe(redis, calls)
    if any(isinstance(answer, NoScriptError) for answer in answers):
        for text in {call.script.text for call in calls}:
            await redis.script_load(text)
        answers = await _pipe(redis, calls)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


async def _pipe(redis: Redis, calls: Sequence[Call]) -> list[Any]:
    async with redis.pipeline(transaction=False) as pipe:
        for call in calls:
            pipe.execute_command(*call.command)
        return list(await pipe.execute(raise_on_error=False))


def script(text: str) -> Script:
    """The script of a text."""
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def source(*names: str) -> str:
    """The files of this room, one after the other."""
    return "\n".join(files("app.gateway").joinpath(name).read_text(encoding="utf-8") for name in names)
