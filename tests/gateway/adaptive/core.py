"""The rules as they stand, in a Lua of their own: a pool, its calls in flight, and a look into the state."""

from __future__ import annotations

from typing import Any

from lupa.lua51 import LuaRuntime, lua_type

from app.gateway.pools.adaptive import SOURCE

# Redis refuses a script that sets a global; this Lua must too.
_STRICT = "setmetatable(_G, { __newindex = function(_, name) error('global ' .. name) end })"


class Pool:
    """One pool and the calls that it let go."""

    def __init__(self, now: float = 1_700_000_000.0, **limits: float | str) -> None:
        self.lua = LuaRuntime(unpack_returned_tuples=True)
        self.lua.execute(_STRICT)
        self.adaptive: Any = self.lua.execute(f"{SOURCE}\nreturn adaptive")
        self.now = now
        self.state: Any = self.adaptive.new(now)
        self.adaptive.configure(self.state, now, self.lua.table(**({"ceiling": 50} | limits)))
        self.flying: list[tuple[float, Any]] = []

    def ask(self, lane: int = 1, input: int = 100, output: int = 100) -> tuple[float, str | None]:
        """Wait and reason; 0 and a call more in flight."""
        call = self.lua.table(lane=lane, input=input, output=output)
        answer = self.adaptive.ask(self.state, self.now, call, len(self.flying))
        wait_s, reason, mark = (*answer, None)[:3] if isinstance(answer, tuple) else (answer, None, None)
        if wait_s == 0:
            self.flying.append((self.now, mark))
        return wait_s, reason

    def settle(self, index: int, status: int, used: int | None = None, **more: Any) -> None:
        """End the call at that place of those in flight."""
        sent, mark = self.flying.pop(index)
        result = self.lua.table(status=status, sent=sent, used=used, **more)
        self.adaptive.settle(self.state, self.now, mark, result, len(self.flying))

    def dimensions(self) -> list[Any]:
        return list(self.state.dims.values())

    def overfull(self) -> list[float]:
        """By how much levels stand above what their buckets hold."""
        return [d.level - _depth(d) for d in self.dimensions() if d.rate]

    def view(self) -> Any:
        return plain(self.adaptive.view(self.state, self.now))


def _depth(d: Any) -> float:
    own = d.announced if d.known else max(2 * d.unit, 0.5 * d.rate)
    return float(max(own, d.want))


def plain(value: Any) -> Any:
    """A Lua value as dicts, numbers, strings and booleans; anything else is an error, as it is in cmsgpack."""
    if lua_type(value) == "table":
        return {key: plain(inner) for key, inner in value.items()}
    assert value is None or isinstance(value, int | float | str | bool), value
    return value


def numbers(value: Any) -> list[float]:
    """All numbers in a plain value."""
    if isinstance(value, dict):
        return [number for inner in value.values() for number in numbers(inner)]
    return [float(value)] if isinstance(value, int | float) and not isinstance(value, bool) else []
