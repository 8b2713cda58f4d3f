"""The rate controller of a pool: one text in Lua 5.1 for Redis, the simulator and the tests."""

from __future__ import annotations

from importlib.resources import files

# In the order in which they stand: a part sees those above it.
_PARTS = (
    "breaker.lua",
    "figures.lua",
    "chance.lua",
    "dimension.lua",
    "shut.lua",
    "measurement.lua",
    "probing.lua",
    "announcements.lua",
    "windows.lua",
    "attribution.lua",
    "recut.lua",
    "refusal.lua",
    "latency.lua",
    "admission.lua",
    "lanes.lua",
    "forecast.lua",
    "settlement.lua",
    "absence.lua",
    "view.lua",
    "adaptive.lua",
)


def _text(part: str) -> str:
    return files("app.gateway").joinpath("pools", "adaptive", part).read_text(encoding="utf-8")


SOURCE = "\n".join(["local adaptive = (function()", *map(_text, _PARTS), "return adaptive", "end)()"])
"""Defines the local table `adaptive`; pure: no clock, no Redis, no randomness but what lies in its state."""
