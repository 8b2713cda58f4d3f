"""Which parts of the service can be reached from this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from app.bell.redis import AWAY
from app.store.database import StoreAway
from app.telemetry.place import kind_of, root_of

_PATIENCE_S = 2.0


class Parts:
    """Asks each part for a sign of life, all at once, for 2 s at most."""

    def __init__(self, **asks: Callable[[], Awaitable[Any]]) -> None:
        self._asks = asks

    async def reachable(self) -> dict[str, str]:
        """`ok` or `away` for each."""
        return {part: "ok" if error is None else "away" for part, error in (await self._ask_all()).items()}

    async def away(self) -> dict[str, str]:
        """The error of each that is away."""
        return {part: error for part, error in (await self._ask_all()).items() if error is not None}

    async def _ask_all(self) -> dict[str, str | None]:
        found = await asyncio.gather(*(_error_of(ask) for ask in self._asks.values()))
        return dict(zip(self._asks, found, strict=True))


async def _error_of(ask: Callable[[], Awaitable[Any]]) -> str | None:
    """The kind of error, None where it answers."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await ask()
    except (StoreAway, *AWAY) as error:
        return kind_of(root_of(error))
    return None
