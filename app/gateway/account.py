"""What a call used and cost, by how it ended."""

from __future__ import annotations

from dataclasses import replace

from app.clients.base import TokenUsage, WireAnswer, WireError
from app.domain.call import CallOutcome
from app.domain.clock import Clock
from app.domain.errors import RateLimited
from app.gateway.budgets.prices import Cost, Prices
from app.gateway.calls.booking import Ended, Sent, answer_bytes, estimated, input_tokens
from app.gateway.hearing import Hearing

REFUSED = "content_filter"
# The error code of a call whose caller left: what it cost is not known.
CANCELED = "canceled"
# The reason of the end, as stored, of an answer of which only a part arrived.
CUT = "cut"
_NOTHING = TokenUsage(0, 0)
_OK, _REFUSED_FROM = 200, 300


class Account:
    """Puts a price on each end of a call; what has to be estimated is never called known."""

    def __init__(self, prices: Prices, clock: Clock) -> None:
        self._prices = prices
        self._clock = clock

    def answered(self, sent: Sent, answer: WireAnswer) -> Ended:
        """A whole answer; content that was refused is paid for too."""
        stored = answer_bytes(answer)
        usage = answer.usage or estimated(sent.request, stored)
        cost = self._cost(sent, usage, known=answer.usage is not None)
        refused = answer.finish_reason == REFUSED
        outcome = CallOutcome.FAILED if refused else CallOutcome.SUCCEEDED
        code = "provider_refused" if refused else None
        return Ended(self._clock.now(), outcome, code, answer.status, usage, cost, stored)

    def failed(self, sent: Sent, error: WireError, hearing: Hearing | None) -> Ended:
        """No whole answer; a stream that had begun is paid for as far as it came.

        A provider that refused charges nothing. One that fell silent, or whose answer broke, may have charged all.
        """
        outcome = CallOutcome.RATE_LIMITED if isinstance(error.fault, RateLimited) else CallOutcome.FAILED
        code, status = error.fault.code, error.status
        if hearing is not None and (status == _OK or hearing.begun):
            return self._cut(sent, outcome, code, status, error.usage, hearing)
        if not error.sent or (status is not None and status >= _REFUSED_FROM):
            return self._end(outcome, code, status, Cost(0, known=True))
        return self._end(outcome, code, status, self._feared(sent))

    def left(self, sent: Sent, code: str, hearing: Hearing | None) -> Ended:
        """Nobody is there to take an answer any more; what was heard is paid for, or all that it may have become."""
        if hearing is None or not hearing.begun:
            return self._end(CallOutcome.FAILED, code, None, self._feared(sent))
        return self._cut(sent, CallOutcome.FAILED, code, None, None, hearing)

    def _end(self, outcome: CallOutcome, code: str, status: int | None, cost: Cost) -> Ended:
        """Without an answer, and without a count of tokens."""
        return Ended(self._clock.now(), outcome, code, status, _NOTHING, cost, None)

    def _feared(self, sent: Sent) -> Cost:
        """What the call may have cost: what was set aside for it, or would have been."""
        usual = TokenUsage(input_tokens(sent.request), sent.expected_output)
        return Cost(sent.held.nanos or self._cost(sent, usual, known=False).nanos, known=False)

    def _cut(
        self,
        sent: Sent,
        outcome: CallOutcome,
        code: str,
        status: int | None,
        counted: TokenUsage | None,
        hearing: Hearing,
    ) -> Ended:
        stored = answer_bytes(WireAnswer(hearing.text, CUT, None, status or 200))
        usage = estimated(sent.request, hearing.text.encode("utf-8", "surrogatepass"))
        if counted is not None:
            usage = replace(counted, output=max(counted.output, usage.output))
        return Ended(self._clock.now(), outcome, code, status, usage, self._cost(sent, usage, known=False), stored)

    def _cost(self, sent: Sent, usage: TokenUsage, known: bool) -> Cost:
        cost = self._prices.cost(sent.target.provider, sent.target.model, usage, sent.started_at)
        return cost if known else Cost(cost.nanos, known=False)
