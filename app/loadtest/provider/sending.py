"""Sends an answer in parts: at its pace, then the rest as the delivery says, with the client on the line."""

import time

from app.loadtest.provider.delivery import FLOOD_BYTES, Delivery, End
from app.loadtest.provider.dialect import Headers
from app.loadtest.provider.exchange import ClientGone, Exchange

# A dripped rest: one byte at a time, so that it outlasts any patience without ever falling silent.
DRIP_S = 0.05
_ZEROS = bytes(1_000_000)
# Parts that are due together leave together, up to so many.
_TOGETHER = 64
_SHORTEST_WAIT_S = 0.0005


class Sending:
    """One delivery on its way. `sent` parts have left, also after the client is gone."""

    def __init__(self, exchange: Exchange, delivery: Delivery) -> None:
        self._exchange = exchange
        self._delivery = delivery
        self._ready: list[bytes] = []
        self.sent = 0

    @property
    def tokens(self) -> int:
        """The tokens that have left."""
        return self._delivery.tokens_in(self.sent)

    async def run(self, status: int, headers: Headers) -> None:
        """Sends it all. Raises ClientGone."""
        await self._exchange.start(status, headers, self._delivery.length)
        started = time.monotonic()
        for place, part in enumerate(self._delivery.parts):
            wait_s = started + max(0, place - 1) * self._delivery.gap_s - time.monotonic()
            if len(self._ready) >= _TOGETHER or (self._delivery.gap_s > 0 and wait_s > _SHORTEST_WAIT_S):
                await self._flush()
                await self._pause(wait_s)
            self._ready.append(part)
        await self._flush(last=self._delivery.end is End.WHOLE)
        await self._end()

    async def _end(self) -> None:
        if self._delivery.end is End.CUT:
            await self._exchange.close()
        elif self._delivery.end is End.STALL:
            await self._exchange.client_leaves()
            raise ClientGone
        elif self._delivery.end is End.DRIP:
            await self._drip()
        elif self._delivery.end is End.FLOOD:
            await self._flood()

    async def _drip(self) -> None:
        for place in range(len(self._delivery.rest)):
            await self._pause(DRIP_S)
            await self._exchange.send_part(self._delivery.rest[place : place + 1], more=True)
        await self._exchange.send_part(b"", more=False)

    async def _flood(self) -> None:
        """Many zeros, as fast as the client takes them, and never more than one portion of them held."""
        for left in range(FLOOD_BYTES // len(_ZEROS), 0, -1):
            await self._exchange.wait(0)
            await self._exchange.send_part(_ZEROS, more=left > 1)

    async def _flush(self, last: bool = False) -> None:
        if self._ready or last:
            await self._exchange.send_part(b"".join(self._ready), more=not last)
            self.sent += len(self._ready)
            self._ready.clear()

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            await self._exchange.wait(seconds)
