"""A provider that lies in its headers is believed no longer than its refusals allow, and nothing is lost by it."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from app.domain.call import Call
from app.domain.errors import MustWait
from app.gateway.gateway import Gateway
from tests.gateway.asking import request, settings_for
from tests.gateway.conftest import NewGateway
from tests.gateway.liar import lying


async def asked(gateway: Gateway, number: int) -> None:
    """One question, as often as the job would come back."""
    while True:
        try:
            await gateway.complete(request(f"item {number}"), lambda call: None)
            return
        except MustWait:
            await asyncio.sleep(0.5)


@pytest.mark.slow
async def test_every_call_is_answered_and_no_call_storms(new_gateway: NewGateway) -> None:
    async with lying(per_s=20) as liar:
        settings = settings_for(liar.url, per_minute=None)
        gateways = [new_gateway(settings), new_gateway(settings)]
        async with asyncio.timeout(60):
            await asyncio.gather(*(asked(gateways[n % 2], n) for n in range(100)))
        assert liar.statuses.count(200) == 100
        assert liar.statuses.count(429) < 60


async def test_a_single_call_backs_off_more_at_each_refusal(new_gateway: NewGateway) -> None:
    async with lying(per_s=0.3) as liar:
        calls: list[Call] = []
        gateway = new_gateway(settings_for(liar.url))
        async with asyncio.timeout(60):
            await gateway.complete(request(), calls.append)
        starts = [call.started_at for call in calls if call.outcome == "rate_limited"]
        rests = [(after - before).total_seconds() for before, after in pairwise(starts)]
        assert all(later > 1.05 * earlier for earlier, later in pairwise(rests))
        assert 3 <= len(starts) <= 8
