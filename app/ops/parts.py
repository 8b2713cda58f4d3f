"""Which parts of the service can be reached from this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from app.bell.redis import AWAY
from app.store.database import StoreAway

_PATIENCE_S = 2.0


class Parts:
    """Asks each part for a sign of life, all at once, for 2 s at most."""

    def __init__(self, **asks: Callable[[], Awaitable[Any]]) -> None:
        self._asks = asks

    async def reachable(self) -> dict[str, str]:
        """`ok` or `away` for each."""
        found = await asyncio.gather(*(_check(ask) for ask in self._asks.values()))
        return dict(zip(self._asks, found, strict=True))


async def _check(ask: Callable[[], Awaitable[Any]]) -> str:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await ask()
    except (StoreAway, *AWAY):
        return "away"
    return "ok"
