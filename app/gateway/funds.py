"""The money of a call: what it may be expected to cost, set aside before it and settled after it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from app.clients.base import TokenUsage
from app.domain import ids
from app.domain.call import Call
from app.domain.clock import Clock
from app.gateway.budgets.budget import Budgets
from app.gateway.budgets.prices import Prices
from app.gateway.budgets.reservation import Charge, Reservation
from app.gateway.calls.booking import estimated
from app.gateway.calls.request import ModelRequest
from app.gateway.calls.routes import Target
from app.store.ledger import LostCall

# What calls that can wait are compared by: a usual question and answer.
_USUAL = TokenUsage(1000, 300)
_PATIENT = "bulk"


class Funds:
    """Reserves what a call will cost by the price of its input and of the answer that is expected."""

    def __init__(self, budgets: Budgets, prices: Prices, clock: Clock) -> None:
        self._budgets = budgets
        self._prices = prices
        self._clock = clock

    async def set_aside(
        self, request: ModelRequest, target: Target, stored: bytes, output_tokens: int, ttl_s: float
    ) -> Reservation:
        """A reservation for one call that has ended within `ttl_s`; given back or settled in every case.

        `output_tokens` is how long its answer is expected to be.

        Raises MustWait (`budget`), ProcessingError `cost_cap_reached`.
        """
        call_id, charge = ids.uuid7(), request.charge
        if charge is None:
            return Reservation(call_id)
        input_tokens = estimated(stored, b"").input
        if charge.purse is not None:
            charge.purse.check(self._cost(target, input_tokens, 0))
        # The ledger counts it in the periods of its id; to look budgets up may take until the next one.
        began = datetime.fromtimestamp(ids.unix_s(call_id), UTC)
        caps = await self._budgets.caps(charge.spender, began)
        nanos = self._cost(target, input_tokens, output_tokens)
        lost = _lost(call_id, request, charge, target, nanos)
        return await self._budgets.reserve(Reservation(call_id, nanos, caps, ttl_s, lost, charge.purse))

    def give_back(self, held: Reservation) -> None:
        """The call is not made."""
        self._budgets.release(held)

    def settle(self, held: Reservation, call: Call) -> None:
        """The call has ended so, and its run has heard of it."""
        self._budgets.settle(held, call.cost_nanos)

    async def in_order(self, request: ModelRequest, targets: Sequence[Target]) -> Sequence[Target]:
        """The targets as given; the cheapest first for a bulk job while one of its budgets is at 80 % or more."""
        if len(targets) == 1 or request.lane != _PATIENT or request.charge is None:
            return targets
        if not await self._budgets.tight(request.charge.spender):
            return targets
        now = self._clock.now()
        return sorted(targets, key=lambda one: self._prices.cost(one.provider, one.model, _USUAL, now).nanos)

    def _cost(self, target: Target, input_tokens: int, output_tokens: int) -> int:
        usage = TokenUsage(input_tokens, output_tokens)
        return self._prices.cost(target.provider, target.model, usage, self._clock.now()).nanos


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
