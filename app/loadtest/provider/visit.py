"""One call from arrival to end: log it, plan it, wait, act on the connection, settle, log the end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from app.loadtest.provider.calls import Call, CallLog, Ending
from app.loadtest.provider.delivery import Delivery, End
from app.loadtest.provider.dialect import Ask, Dialect, Refused
from app.loadtest.provider.exchange import BodyTooLarge, ClientGone, Exchange
from app.loadtest.provider.plan import Act, Plan
from app.loadtest.provider.planner import Arrival, Planner
from app.loadtest.provider.refusals import BODY_TOO_LARGE
from app.loadtest.provider.sending import Sending


class Reception:
    """Receives calls and ends those that still run when the provider stops."""

    def __init__(self, planner: Planner, log: CallLog) -> None:
        self._planner = planner
        self._log = log
        self._open: set[Exchange] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False

    async def receive(self, exchange: Exchange, dialect: Dialect) -> None:
        """Serves one call to its end."""
        self._open.add(exchange)
        self._idle.clear()
        try:
            await self._serve(exchange, dialect)
        finally:
            self._open.discard(exchange)
            if not self._open:
                self._idle.set()

    async def stop(self, grace_s: float) -> None:
        """Gives running calls so many seconds to end, then resets their connections; the log says `stopped`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._idle.wait()
        self._stopping = True
        for exchange in list(self._open):
            exchange.abort()

    async def _serve(self, exchange: Exchange, dialect: Dialect) -> None:
        try:
            arrival = await _arrival(exchange, dialect)
        except ClientGone:
            self._log.end(self._log.arrive(None, None), Ending("client_disconnected", client_disconnected=True))
            return
        call = self._arrive(exchange, arrival)
        plan, ending = None, Ending("error")
        try:
            plan = self._planner.plan(arrival, time.monotonic())
            ending = await self._carry_out(plan, exchange)
        finally:
            self._end(call, plan, ending)

    def _arrive(self, exchange: Exchange, arrival: Arrival) -> Call:
        ask = arrival.ask if isinstance(arrival.ask, Ask) else None
        return self._log.arrive(
            model=arrival.model,
            item=ask.item if ask else None,
            prompt_tokens=ask.prompt_tokens if ask else 0,
            idempotency_key=exchange.text_header(b"idempotency-key"),
            traceparent=exchange.text_header(b"traceparent"),
            dialect=arrival.dialect.name,
            streamed=ask.stream if ask else False,
        )

    async def _carry_out(self, plan: Plan, exchange: Exchange) -> Ending:
        try:
            if plan.delay_s > 0:
                await exchange.wait(plan.delay_s)
        except ClientGone:
            return self._left("client_disconnected")
        if plan.delivery is not None:
            return await self._deliver(plan, plan.delivery, exchange)
        await _ACTS[plan.act](exchange, plan)
        return self._left(plan.ending.outcome) if plan.act is Act.HANG else plan.ending

    async def _deliver(self, plan: Plan, delivery: Delivery, exchange: Exchange) -> Ending:
        """What was sent counts, however it ended; a kind of error that had its way keeps its name in the log."""
        sending = Sending(exchange, delivery)
        try:
            await sending.run(plan.ending.status or 200, plan.headers)
        except ClientGone:
            outcome = plan.ending.outcome if delivery.end in (End.STALL, End.DRIP, End.FLOOD) else "client_disconnected"
            return replace(self._left(outcome), status=plan.ending.status, completion_tokens=sending.tokens)
        return replace(plan.ending, completion_tokens=sending.tokens)

    def _left(self, outcome: str) -> Ending:
        return Ending("stopped" if self._stopping else outcome, client_disconnected=not self._stopping)

    def _end(self, call: Call, plan: Plan | None, ending: Ending) -> None:
        if plan is not None and plan.admission is not None:
            used = plan.prompt_tokens + ending.completion_tokens
            plan.admission.settle(used if ending.status == 200 else 0)
        self._log.end(call, ending, plan.alone_s if plan is not None else 0.0)


async def _arrival(exchange: Exchange, dialect: Dialect) -> Arrival:
    key = dialect.key(exchange.headers)
    try:
        ask = dialect.read(exchange.headers, await exchange.body())
    except BodyTooLarge:
        return Arrival(dialect, key, None, BODY_TOO_LARGE)
    except Refused as refused:
        return Arrival(dialect, key, refused.model, refused.refusal)
    return Arrival(dialect, key, ask.model, ask)


async def _answer(exchange: Exchange, plan: Plan) -> None:
    await exchange.answer(plan.ending.status or 200, plan.body, plan.headers)


async def _reset(exchange: Exchange, plan: Plan) -> None:
    await exchange.reset()


async def _hang(exchange: Exchange, plan: Plan) -> None:
    await exchange.client_leaves()


_ACTS: dict[Act, Callable[[Exchange, Plan], Awaitable[None]]] = {
    Act.ANSWER: _answer,
    Act.RESET: _reset,
    Act.HANG: _hang,
}
