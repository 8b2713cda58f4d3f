"""What a pool learns of each end of a call: statuses, tokens, hints; a quota is no limit, a broken answer a failure."""

from __future__ import annotations

import orjson
import pytest

from app.clients.base import LimitHints, TokenUsage, WireAnswer, WireError
from app.clients.http import broken, too_late
from app.domain.errors import Fault, InputError, ProviderAuth, RateLimited, TransientError
from app.gateway.lesson import after_answer, after_error
from app.gateway.pools.holding import MOST_ENDED, Holding, as_json
from app.gateway.pools.pool import NO_CONNECTION, TIMED_OUT, CallResult, Lease

_HINTS = LimitHints((("requests", 600, 599), ("input", 9000, 10)), "tok")


def test_an_answer_tells_its_tokens_and_hints() -> None:
    found = after_answer(WireAnswer("hi", "stop", TokenUsage(9, 3), 200, _HINTS), 0.5)
    assert found == CallResult(200, 0.5, 12, None, _HINTS)
    assert found.good
    assert after_answer(WireAnswer("hi", "stop", None, 200), 0.5).used is None


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        (RateLimited(), 429, 429),
        # One that broke off a stream: HTTP had said 200.
        (RateLimited(), 200, 429),
        (ProviderAuth(), 429, 402),
        (ProviderAuth(), 401, 401),
        (InputError(), 400, 400),
        (TransientError(), 503, 503),
        (broken("cut").fault, 200, 502),
        (broken("cut").fault, None, NO_CONNECTION),
        (too_late(1.0).fault, None, TIMED_OUT),
        (too_late(1.0).fault, 200, TIMED_OUT),
    ],
)
def test_an_error_tells_its_kind(fault: Fault, status: int | None, told: int) -> None:
    found = after_error(WireError(fault, status, TokenUsage(9, 1), _HINTS), 0.5)
    assert (found.status, found.used, found.hints) == (told, 10, _HINTS)
    assert not found.good


def test_a_result_as_the_controller_takes_it() -> None:
    told = orjson.loads(as_json(CallResult(429, 0.5, None, 2.0, _HINTS)))
    assert told == {
        "status": 429, "took": 0.5, "retry_after": 2.0, "label": "tok",
        "limit_requests": 600, "left_requests": 599, "limit_input": 9000, "left_input": 10,
    }  # fmt: skip
    assert orjson.loads(as_json(CallResult(200, 0.5))) == {"status": 200, "took": 0.5}


def test_results_that_wait_for_redis_are_bounded_and_told_once() -> None:
    holding = Holding()
    for number in range(MOST_ENDED + 5):
        holding.take(Lease(f"p:{number}", 1000), b"mark", 0.0)
        holding.end(f"p:{number}", CallResult(200, 0.1), 0.0)
        # A second end of the same lease changes nothing.
        holding.end(f"p:{number}", None, 0.0)
    waiting = holding.ended(MOST_ENDED * 2)
    assert len(waiting) == MOST_ENDED
    assert (waiting[0].id, waiting[0].mark) == ("p:5", b"mark")
    assert waiting[0].result
    holding.told(waiting)
    assert not holding.to_tell
