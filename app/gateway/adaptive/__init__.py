"""The rate controller of a pool: one text in Lua 5.1 for Redis, the simulator and the tests."""

from __future__ import annotations

from importlib.resources import files

# In the order in which they stand: a part sees those above it.
_PARTS = ("lanes.lua", "adaptive.lua")

SOURCE = "\n".join(files(__name__).joinpath(part).read_text(encoding="utf-8") for part in _PARTS)
"""Defines the local table `adaptive`; pure: no clock, no Redis, no randomness but what lies in its state."""
