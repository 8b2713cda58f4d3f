"""A refused credential, and a time that nobody can mean, while Redis is away."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.domain.errors import MustWait
from app.domain.job import Reason
from app.gateway.pools.pool import CallResult
from app.gateway.pools.shut_away import LocalShut
from tests.gateway.admitting import admit, wide
from tests.gateway.conftest import NewLimiter
from tests.supervise.embedded import RunningServer

_REFUSED = CallResult(401, 0.01, refused=True)


def test_trials_are_few_and_one_that_is_answered_opens_it() -> None:
    shut = LocalShut(False, 0.0)
    shut.tell(1.0, _REFUSED)
    assert shut.wait_s(1.0) == 30.0
    shut.tell(1.5, CallResult(200, 1.0, used=10))
    assert shut.refused, "it was sent before"
    assert shut.wait_s(31.0) == 0.0 and shut.wait_s(31.0) == 30.0
    shut.tell(31.5, CallResult(503, 0.5))
    assert shut.refused
    shut.tell(62.0, CallResult(200, 0.5, used=10))
    assert not shut.refused and shut.wait_s(62.0) == 0.0


def test_what_redis_knew_is_tried_first() -> None:
    shut = LocalShut(True, 5.0)
    assert shut.wait_s(5.0) == 0.0 and shut.wait_s(5.0) == 30.0


@pytest.mark.parametrize(
    ("result", "reason"),
    [(_REFUSED, Reason.PROVIDER_AUTH), (CallResult(429, 0.01, retry_after_s=1e9), Reason.RATE_LIMIT)],
)
async def test_a_worker_alone_stops_too_but_not_for_years(
    new_limiter: NewLimiter, own_valkey: RunningServer, result: CallResult, reason: Reason
) -> None:
    own_valkey.stop()
    limiter, pool = new_limiter(own_valkey), wide(8)
    limiter.settle(await admit(limiter, pool), result)
    with pytest.raises(MustWait) as caught:
        await admit(limiter, pool)
    assert caught.value.reason == reason
    assert (caught.value.until - datetime.now(UTC)).total_seconds() < 200
