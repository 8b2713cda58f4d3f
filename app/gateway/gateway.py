"""The one door to a model: route, limiter, provider, settle, record."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.clients.base import ModelClient, TokenUsage, WireAnswer, WireError, WireRequest
from app.domain import ids
from app.domain.call import Call, CallOutcome
from app.domain.clock import Clock
from app.domain.errors import Fault, InputError, ProviderAuth, RateLimited, SystemFault
from app.gateway.booking import Ended, Sent, answer_bytes, call_record, call_span, estimated, request_bytes, wait_span
from app.gateway.limiter import Limiter
from app.gateway.pool import Permit
from app.gateway.prices import Cost, Prices
from app.gateway.request import ModelAnswer, ModelRequest
from app.gateway.routes import Routes, Target
from app.settings import Settings
from app.telemetry.logs import log
from app.telemetry.traces import Tracing, child

# A call to a provider, where the step names no timeout.
DEFAULT_TIMEOUT_S = 120.0
# A lease outlives its call by this much, so that it expires only when its holder is dead.
LEASE_MARGIN_S = 5.0
# What a 429 may make a pool rest, whatever the provider says.
_PAUSE_S = (0.05, 3600.0)
REFUSED = "content_filter"
# The error code of a call whose caller left: what it cost is not known.
CANCELED = "canceled"
_NOTHING = TokenUsage(0, 0)
_log = log("gateway")


class Gateway:
    """Asks a ladder of targets; a 429 goes back to the limiter and is never a try. Retries nothing else."""

    def __init__(
        self,
        settings: Settings,
        clients: Mapping[str, ModelClient],
        limiter: Limiter,
        prices: Prices,
        clock: Clock,
        tracing: Tracing,
    ) -> None:
        self._limits = settings.gateway
        self._clients = clients
        self._limiter = limiter
        self._prices = prices
        self._clock = clock
        self._tracing = tracing
        self._routes = Routes(settings)

    def aliases(self) -> frozenset[str] | None:
        """The aliases that workflows may name; None when any is served, by the simulated provider."""
        return self._routes.aliases()

    async def complete(self, request: ModelRequest, record: Callable[[Call], None]) -> ModelAnswer:
        """The answer of the first target whose credential is accepted; `record` gets each call, failed ones too.

        Raises a Fault by class, and MustWait (`rate_limit`) when the wait for the pool is too long to hold a slot.
        """
        refused: ProviderAuth | None = None
        for target in self._routes.targets(request.alias, request.test_mode):
            try:
                return await self._ask(target, request, record)
            except ProviderAuth as fault:
                _log.error("provider_auth", provider=target.provider, model=target.model, error=fault.detail)
                refused = fault
        raise refused or ProviderAuth(f"model alias {request.alias!r} has no target")

    async def _ask(self, target: Target, request: ModelRequest, record: Callable[[Call], None]) -> ModelAnswer:
        """One target, until it gives anything but a 429."""
        timeout_s = request.timeout_s or DEFAULT_TIMEOUT_S
        stored = request_bytes(target.model, request)
        while True:
            permit = await self._limiter.admit(
                target.pool,
                request.lane,
                lease_s=timeout_s + LEASE_MARGIN_S,
                max_wait_s=self._limits.max_slot_wait_s,
            )
            answer = await self._call(permit, target, request, stored, timeout_s, record)
            if answer is not None:
                return answer

    async def _call(
        self,
        permit: Permit,
        target: Target,
        request: ModelRequest,
        stored: bytes,
        timeout_s: float,
        record: Callable[[Call], None],
    ) -> ModelAnswer | None:
        """One call under one permit, settled and recorded in every case; None after a 429."""
        trace = child(request.trace)
        wire = self._wire(target, request, timeout_s, trace.traceparent)
        sent = Sent(ids.uuid7(), target, trace, permit.waited_s, self._clock.now(), stored)
        try:
            ended, result = await self._exchange(sent, wire)
        except BaseException:
            self._book(permit, sent, self._failed(CallOutcome.FAILED, CANCELED, None), None, record)
            raise
        if isinstance(result, RateLimited):
            self._book(permit, sent, ended, self._pause_s(result), record)
            return None
        self._book(permit, sent, ended, None, record)
        if isinstance(result, Fault):
            raise result
        return result

    async def _exchange(self, sent: Sent, wire: WireRequest) -> tuple[Ended, ModelAnswer | Fault]:
        """How the call ended, and what that means for the caller; only cancellation passes through."""
        provider = sent.target.provider
        try:
            answer = await self._clients[provider].complete(wire)
        except WireError as error:
            error.fault.__cause__ = error
            outcome = CallOutcome.RATE_LIMITED if isinstance(error.fault, RateLimited) else CallOutcome.FAILED
            return self._failed(outcome, error.fault.code, error.status), error.fault
        except Exception as error:
            fault = SystemFault(f"the client of provider {provider} failed: {type(error).__name__}")
            fault.__cause__ = error
            return self._failed(CallOutcome.FAILED, fault.code, None), fault
        ended = self._answered(sent, answer)
        if answer.finish_reason == REFUSED:
            return ended, InputError(f"provider {provider} refused the content", code=ended.error_code)
        return ended, ModelAnswer(answer.text, answer.finish_reason)

    def _book(
        self, permit: Permit, sent: Sent, ended: Ended, pause_s: float | None, record: Callable[[Call], None]
    ) -> None:
        self._limiter.settle(permit, pause_s)
        if waited := wait_span(sent):
            self._tracing.emit(waited)
        self._tracing.emit(call_span(sent, ended))
        record(call_record(sent, ended))

    def _wire(self, target: Target, request: ModelRequest, timeout_s: float, traceparent: str) -> WireRequest:
        return WireRequest(
            model=target.model,
            messages=tuple((message.role, message.content) for message in request.messages),
            schema=request.schema,
            schema_name=request.schema_name,
            max_output_tokens=request.max_output_tokens,
            timeout_s=timeout_s,
            max_answer_bytes=self._limits.max_answer_bytes,
            traceparent=traceparent,
            idempotency_key=request.idempotency_key,
        )

    def _answered(self, sent: Sent, answer: WireAnswer) -> Ended:
        stored, now = answer_bytes(answer), self._clock.now()
        usage = answer.usage or estimated(sent.request, stored)
        cost = self._prices.cost(sent.target.provider, sent.target.model, usage, sent.started_at)
        if answer.usage is None:
            cost = Cost(cost.nanos, known=False)
        refused = answer.finish_reason == REFUSED
        outcome = CallOutcome.FAILED if refused else CallOutcome.SUCCEEDED
        return Ended(now, outcome, "provider_refused" if refused else None, answer.status, usage, cost, stored)

    def _failed(self, outcome: CallOutcome, code: str, status: int | None) -> Ended:
        return Ended(self._clock.now(), outcome, code, status, _NOTHING, Cost(0, known=True), None)

    def _pause_s(self, fault: RateLimited) -> float:
        shortest, longest = _PAUSE_S
        named = self._limits.rate_limit_wait_s if fault.retry_after_s is None else fault.retry_after_s
        return min(max(named, shortest), longest)
