"""The money of a call: what it may be expected to cost, set aside before it and settled after it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.clients.base import TokenUsage
from app.domain import ids
from app.domain.call import Call, CallOutcome
from app.domain.clock import Clock
from app.gateway.budgets.budget import Budgets
from app.gateway.budgets.prices import Prices
from app.gateway.budgets.reservation import Charge, Reservation
from app.gateway.calls.booking import estimated
from app.gateway.calls.request import ModelRequest
from app.gateway.calls.routes import Target
from app.gateway.lengths import Lengths, Route
from app.store.ledger import LostCall

# What calls that can wait are compared by: a usual question and answer.
_USUAL = TokenUsage(1000, 300)
_PATIENT = "bulk"


class Funds:
    """Reserves what a call will cost: its input, and the 95th percentile of its route's answers, by the price."""

    def __init__(self, budgets: Budgets, prices: Prices, lengths: Lengths, clock: Clock) -> None:
        self._budgets = budgets
        self._prices = prices
        self._lengths = lengths
        self._clock = clock

    async def set_aside(self, request: ModelRequest, target: Target, stored: bytes, ttl_s: float) -> Reservation:
        """A reservation for one call that has ended within `ttl_s`; given back or settled in every case.

        Raises MustWait (`budget`), ProcessingError `cost_cap_reached`.
        """
        call_id, charge = ids.uuid7(), request.charge
        if charge is None:
            return Reservation(call_id)
        if charge.purse is not None:
            charge.purse.check(self._cost(target, estimated(stored, b"").input, 0))
        caps = await self._budgets.caps(charge.spender)
        nanos = self._expected(request, target, stored)
        lost = _lost(call_id, request, charge, target, nanos)
        return await self._budgets.reserve(Reservation(call_id, nanos, caps, ttl_s, lost, charge.purse))

    def give_back(self, held: Reservation) -> None:
        """The call is not made."""
        self._budgets.release(held)

    def settle(self, held: Reservation, request: ModelRequest, call: Call) -> None:
        """The call has ended so, and its run has heard of it."""
        self._budgets.settle(held, call.cost_nanos)
        if call.outcome is CallOutcome.SUCCEEDED:
            self._lengths.learn(_route(request, call.provider, call.model), call.output_tokens)

    async def in_order(self, request: ModelRequest, targets: Sequence[Target]) -> Sequence[Target]:
        """The targets as given; the cheapest first for a bulk job while one of its budgets is at 80 % or more."""
        if len(targets) == 1 or request.lane != _PATIENT or request.charge is None:
            return targets
        if not await self._budgets.tight(request.charge.spender):
            return targets
        now = self._clock.now()
        return sorted(targets, key=lambda one: self._prices.cost(one.provider, one.model, _USUAL, now).nanos)

    def _expected(self, request: ModelRequest, target: Target, stored: bytes) -> int:
        output = self._lengths.expected(_route(request, target.provider, target.model), request.max_output_tokens)
        return self._cost(target, estimated(stored, b"").input, output)

    def _cost(self, target: Target, input_tokens: int, output_tokens: int) -> int:
        usage = TokenUsage(input_tokens, output_tokens)
        return self._prices.cost(target.provider, target.model, usage, self._clock.now()).nanos


def _route(request: ModelRequest, provider: str, model: str) -> Route:
    """Answers of one workflow's step by one model are about as long."""
    charge = request.charge
    return (charge.spender.workflow, charge.step, provider, model) if charge else (request.alias, provider, model)


def _lost(call_id: UUID, request: ModelRequest, charge: Charge, target: Target, nanos: int) -> LostCall:
    spender = charge.spender
    return LostCall(
        id=call_id,
        project_id=spender.project_id,
        key_id=spender.key_id,
        workflow=spender.workflow,
        version=charge.version,
        job_id=request.job_id,
        step=charge.step,
        step_key=charge.step_key,
        attempt=charge.attempt,
        provider=target.provider,
        model=target.model,
        reserved_nanos=nanos,
        test_mode=spender.test_mode,
    )
