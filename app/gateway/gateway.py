"""The one door to a model: route, limiter, provider, settle, record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from app.clients.base import ModelClient, WireAnswer, WireError, WireRequest
from app.domain import canonical, ids
from app.domain.call import Call
from app.domain.clock import Clock
from app.domain.errors import Fault, InputError, MustWait, ProviderAuth, RateLimited, SystemFault, TransientError
from app.domain.job import Reason
from app.gateway.account import CANCELED, REFUSED, Account
from app.gateway.budgets.prices import Prices
from app.gateway.budgets.reservation import Reservation
from app.gateway.calls.booking import Ended, Sent, call_record, call_span, input_tokens, request_bytes, wait_span
from app.gateway.calls.request import ModelAnswer, ModelRequest
from app.gateway.calls.routes import Routes, Target
from app.gateway.descent import Descent
from app.gateway.funds import Funds
from app.gateway.hearing import Hearing
from app.gateway.lengths import Lengths, Route
from app.gateway.lesson import after_answer, after_error
from app.gateway.pools.limiter import Limiter
from app.gateway.pools.pool import CallResult, Permit
from app.gateway.redis.reach import ROUND_TRIP_S
from app.settings import Settings
from app.telemetry.traces import Tracing, child

# A call to a provider, where the step names no timeout.
DEFAULT_TIMEOUT_S = 120.0
# A lease outlives its call by this much, so that it expires only when its holder is dead.
LEASE_MARGIN_S = 5.0
# A provider may name a time, but not any.
_LONGEST_REST_S = 3600.0
# Whose credential is refused looks again after so long, should its pool not wake it before.
_REFUSED_S = 120.0
# The rest of a refused call that was told no time, doubled at each refusal: the pool's own pace decides above that.
_FIRST_REST_S, _LONGER = 0.1, 1.5


@dataclass(frozen=True, slots=True)
class _Asking:
    """What one `complete` was given."""

    request: ModelRequest
    record: Callable[[Call], None]
    hearing: Hearing | None

    @property
    def begun(self) -> bool:
        """Whether the caller has heard a piece of an answer."""
        return self.hearing is not None and self.hearing.begun

    @property
    def timeout_s(self) -> float:
        """What bounds each call."""
        return self.request.timeout_s or DEFAULT_TIMEOUT_S


class Gateway:
    """Asks a ladder of targets, each once; a 429 goes back to the limiter and is never a try. Retries nothing else."""

    def __init__(
        self,
        settings: Settings,
        clients: Mapping[str, ModelClient],
        limiter: Limiter,
        prices: Prices,
        clock: Clock,
        tracing: Tracing,
        funds: Funds | None = None,
        lengths: Lengths | None = None,
    ) -> None:
        self._limits = settings.gateway
        self._slow_share = settings.breaker.slow_share
        self._clients = clients
        self._limiter = limiter
        self._clock = clock
        self._account = Account(prices, clock)
        self._tracing = tracing
        self._funds = funds
        self._routes = Routes(settings)
        self._lengths = lengths or Lengths()

    def aliases(self) -> frozenset[str] | None:
        """The aliases that workflows may name; None when any is served, by the simulated provider."""
        return self._routes.aliases()

    def models(self, alias: str, test_mode: bool) -> tuple[str, ...]:
        """Whom a call to the alias may go to, sorted. Raises as `complete`."""
        return tuple(sorted(f"{one.provider}/{one.model}" for one in self._routes.targets(alias, test_mode)))

    async def complete(
        self,
        request: ModelRequest,
        record: Callable[[Call], None],
        on_text: Callable[[str], None] | None = None,
    ) -> ModelAnswer:
        """The answer of the first target that gives one; `record` gets each call, failed ones too.

        With `on_text` it is streamed. Once a piece was handed out, no other call goes on in its place: what breaks
        the stream is raised, a rate limit too. Raises a Fault by class, and MustWait (`rate_limit`) when the wait
        for the pool is too long to hold a slot; which of them where targets differ, `Descent` knows.
        """
        asking = _Asking(request, record, None if on_text is None else Hearing(on_text))
        descent = Descent()
        for target in await self._targets(request):
            try:
                return await self._ask(target, asking)
            except (MustWait, TransientError, SystemFault) as ended:
                if asking.begun:
                    raise
                descent.note(target, ended)
        raise descent.end()

    async def _targets(self, request: ModelRequest) -> Sequence[Target]:
        """Whom to ask, in order."""
        targets = self._routes.targets(request.alias, request.test_mode, ids.share(request.idempotency_key))
        return targets if self._funds is None else await self._funds.in_order(request, targets)

    async def _ask(self, target: Target, asking: _Asking) -> ModelAnswer:
        """One target, until it gives anything but a 429."""
        stored, rest_s, refused = request_bytes(target.model, asking.request), 0.0, 0
        while True:
            expected = self._lengths.expected(_route(asking.request, target), asking.request.max_output_tokens)
            held = await self._set_aside(target, asking, stored, expected)
            try:
                permit = await self._admit(target, asking, stored, expected, rest_s, refused > 0)
            except BaseException:
                if self._funds is not None:
                    self._funds.give_back(held)
                raise
            sent = Sent(held, target, child(asking.request.trace), permit.waited_s, self._clock.now(), stored, expected)
            answer = await self._call(permit, sent, asking)
            if not isinstance(answer, RateLimited):
                return answer
            rest_s, refused = _rest_s(answer, refused, permit.waited_s), refused + 1

    async def _set_aside(self, target: Target, asking: _Asking, stored: bytes, expected: int) -> Reservation:
        """The money for one call, and the id under which it is held."""
        if self._funds is None:
            return Reservation(ids.uuid7())
        ttl_s = asking.timeout_s + LEASE_MARGIN_S + 2 * (self._limits.max_slot_wait_s + ROUND_TRIP_S)
        return await self._funds.set_aside(asking.request, target, stored, expected, ttl_s)

    async def _admit(
        self, target: Target, asking: _Asking, stored: bytes, expected: int, rest_s: float, refused: bool
    ) -> Permit:
        request, now = asking.request, self._clock.now()
        most = request.max_output_tokens
        return await self._limiter.admit(
            target.pool,
            request.lane,
            lease_s=asking.timeout_s + LEASE_MARGIN_S,
            max_wait_s=self._limits.max_slot_wait_s,
            project=request.project_id.hex,
            input_tokens=input_tokens(stored),
            output_tokens=expected if most is None else most,
            rest_s=rest_s,
            again=request.again or refused,
            waited_s=(now - (request.since or now)).total_seconds(),
            job=request.job_id.hex,
        )

    async def _call(self, permit: Permit, sent: Sent, asking: _Asking) -> ModelAnswer | RateLimited:
        """One call under one permit, settled and recorded in every case; the fault of a 429 that may be repeated."""
        try:
            ended, result, lesson = await self._exchange(sent, self._wire(sent, asking), asking.hearing)
        except BaseException:
            self._book(permit, sent, self._account.left(sent, CANCELED, asking.hearing), None, asking)
            raise
        self._book(permit, sent, ended, lesson, asking)
        if isinstance(result, ModelAnswer):
            self._lengths.learn(_route(asking.request, sent.target), ended.usage.output)
        if isinstance(result, RateLimited) and not asking.begun:
            return result
        known = permit.probe or (isinstance(result, TransientError) and self._limiter.down(permit.pool))
        if known and isinstance(result, TransientError) and not asking.begun:
            # It met an outage that is known of, or that it was to look into: that is no try of its caller's.
            raise MustWait(Reason.PROVIDER_DOWN, self._clock.now(), permit.pool.name) from result
        if permit.trial and isinstance(result, ProviderAuth) and not asking.begun:
            # So did this one: its credential is refused still.
            until = self._clock.now() + timedelta(seconds=_REFUSED_S)
            raise MustWait(Reason.PROVIDER_AUTH, until, permit.pool.name) from result
        if isinstance(result, Fault):
            raise result
        return result

    async def _exchange(
        self, sent: Sent, wire: WireRequest, hearing: Hearing | None
    ) -> tuple[Ended, ModelAnswer | Fault, CallResult | None]:
        """How the call ended, what that means for the caller and for the pool; only cancellation passes through."""
        provider, sent_s = sent.target.provider, self._clock.monotonic()
        try:
            client = self._clients[provider]
            answer = await _ask(client, wire, hearing)
        except WireError as error:
            error.fault.__cause__ = error
            lesson = after_error(error, self._clock.monotonic() - sent_s)
            return self._account.failed(sent, error, hearing), error.fault, lesson
        except Exception as error:
            fault = SystemFault(f"the client of provider {provider} failed: {type(error).__name__}")
            fault.__cause__ = error
            return self._account.left(sent, fault.code, hearing), fault, None
        lesson = after_answer(answer, self._clock.monotonic() - sent_s, self._slow_share * wire.timeout_s)
        ended = self._account.answered(sent, answer)
        if answer.finish_reason == REFUSED:
            return ended, InputError(f"provider {provider} refused the content", code=ended.error_code), lesson
        return ended, ModelAnswer(answer.text, answer.finish_reason, vectors=answer.vectors), lesson

    def _book(self, permit: Permit, sent: Sent, ended: Ended, lesson: CallResult | None, asking: _Asking) -> None:
        self._limiter.settle(permit, lesson)
        if waited := wait_span(sent):
            self._tracing.emit(waited)
        self._tracing.emit(call_span(sent, ended))
        call = call_record(sent, ended)
        asking.record(call)
        if self._funds is not None:
            self._funds.settle(sent.held, call)

    def _wire(self, sent: Sent, asking: _Asking) -> WireRequest:
        request = asking.request
        return WireRequest(
            model=sent.target.model,
            messages=tuple((message.role, message.content) for message in request.messages),
            schema=request.schema,
            schema_name=request.schema_name,
            max_output_tokens=request.max_output_tokens,
            timeout_s=asking.timeout_s,
            max_answer_bytes=self._limits.max_answer_bytes,
            traceparent=sent.trace.traceparent,
            idempotency_key=_key(request, sent.target, sent.request),
            texts=request.texts,
        )


async def _ask(client: ModelClient, wire: WireRequest, hearing: Hearing | None) -> WireAnswer:
    if wire.texts:
        return await client.embed(wire)
    return await (client.complete(wire) if hearing is None else client.stream(wire, hearing))


def _key(request: ModelRequest, target: Target, stored: bytes) -> str:
    """What names the question upstream: the same for the same target and body, never the same for others."""
    asked = canonical.digest(target.provider, request.schema_name, stored.hex())
    return f"{request.idempotency_key}-{asked.hex()[:16]}"


def _route(request: ModelRequest, target: Target) -> Route:
    """Answers of one workflow's step by one model are about as long."""
    charge = request.charge
    asked = (charge.spender.workflow, charge.step) if charge else (request.alias,)
    return *asked, target.provider, target.model


def _rest_s(fault: RateLimited, refused: int, waited_s: float) -> float:
    """Seconds for which a refused call rests: what the provider named; where it names nothing, or what it named was not
    enough, longer at each refusal than the time before it, which may have been a wait for the pool.
    """
    named_s = min(fault.retry_after_s or 0.0, _LONGEST_REST_S)
    if fault.retry_after_s is not None and not refused:
        return named_s
    own_s = max(_FIRST_REST_S * 2.0**refused, _LONGER * waited_s if refused else 0.0)
    return max(named_s, min(own_s, _LONGEST_REST_S) * ids.jitter(0.75, 1.0))
