"""What will happen to a call: wait, act on the connection, send this body, say this in the log."""

from dataclasses import dataclass, replace
from enum import Enum

from app.loadtest.provider.answer import make_reply
from app.loadtest.provider.calls import Ending
from app.loadtest.provider.delivery import MISSHAPEN, Delivery, body_delivery, event_delivery
from app.loadtest.provider.dialect import Ask, Dialect, Headers, Refusal, Reply, retry_after
from app.loadtest.provider.draw import Draw
from app.loadtest.provider.fault import STREAM_KINDS, ErrorKind, Regime
from app.loadtest.provider.limit import Denial, Hold
from app.loadtest.provider.refusals import BY_KIND, IN_STREAM, bad_schema, over_limit
from app.loadtest.provider.usage import CHARS_PER_TOKEN


class Act(Enum):
    """What is done with the connection once the latency has passed."""

    ANSWER = "answer"
    DELIVER = "deliver"
    RESET = "reset"
    HANG = "hang"


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that the limits let in, and what it must settle with."""

    regime: Regime
    hold: Hold

    def settle(self, tokens: int) -> None:
        """Ends the call; it truly used so many tokens."""
        self.regime.gate.settle(self.regime.limits, self.hold, tokens)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will happen; `ending` is what the log will say where nothing comes between.

    An answer that comes in parts is in `delivery`, any other in `body`. `alone_s`: the latency had nobody else called.
    """

    act: Act
    ending: Ending
    delay_s: float = 0.0
    body: bytes = b""
    headers: Headers = ()
    admission: Admission | None = None
    prompt_tokens: int = 0
    delivery: Delivery | None = None
    alone_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """An admitted call and its chance: makes the plan for whichever way the call goes.

    `length` is what the settings say of the answer's tokens; 0: nothing.
    """

    dialect: Dialect
    ask: Ask
    admission: Admission
    draw: Draw
    ordinal: int
    now: float
    length: int = 0

    @property
    def filler(self) -> str:
        """A text of that length."""
        return ("word " * self.length)[: CHARS_PER_TOKEN * self.length]

    def _alone_s(self, tokens: int) -> float:
        """The latency of this call with so long an answer, had nobody else called."""
        return self.admission.regime.latency.seconds(self.draw.sub("latency"), tokens)

    def _crowded(self) -> float:
        return self.admission.regime.crowded(self.admission.hold.in_flight)

    def fails(self, kind: ErrorKind) -> Plan:
        """The plan of an error kind that leaves no answer."""
        delay_s = self._alone_s(self.length) * self._crowded()
        if kind in BY_KIND:
            wait_s = 1.0 if kind == "rate_limited" else None
            headers = limit_headers(self.dialect, self.admission.regime, self.now, wait_s)
            return refusal_plan(self.dialect, BY_KIND[kind], headers, delay_s, self.admission)
        act = Act.RESET if kind == "reset" else Act.HANG
        return Plan(act, Ending(kind), delay_s, admission=self.admission)

    def refuses_schema(self, reason: str) -> Plan:
        """The plan where no value fits the schema that was asked for."""
        return refusal_plan(self.dialect, bad_schema(reason), admission=self.admission)

    def answers(self, content: str, kind: ErrorKind | None) -> Plan:
        """The plan of an answer, spoiled by an error kind or not."""
        kind = None if kind in STREAM_KINDS and not self.ask.stream else kind
        reply = make_reply(self.ask, content, kind, self.draw, self.ordinal)
        alone_s = self._alone_s(reply.completion_tokens)
        way = self._streamed if self.ask.stream else self._whole
        return replace(way(reply, kind, alone_s * self._crowded()), alone_s=alone_s)

    def _whole(self, reply: Reply, kind: ErrorKind | None, delay_s: float) -> Plan:
        body = MISSHAPEN if kind == "wrong_shape" else self.dialect.reply(self.ask, reply)
        delivery = body_delivery(body, kind, reply.completion_tokens)
        return self._answer(reply, kind, delay_s, body, delivery)

    def _streamed(self, reply: Reply, kind: ErrorKind | None, delay_s: float) -> Plan:
        error = self.dialect.error_event(self.dialect.own(IN_STREAM))
        first_s = delay_s * self.admission.regime.settings.first_token
        events = self.dialect.events(self.ask, reply)
        return self._answer(reply, kind, first_s, b"", event_delivery(events, kind, error, delay_s - first_s))

    def _answer(
        self, reply: Reply, kind: ErrorKind | None, delay_s: float, body: bytes, delivery: Delivery | None
    ) -> Plan:
        outcome = kind or ("length" if reply.finish == "length" else "ok")
        complete = delivery is None or delivery.complete
        return Plan(
            act=Act.ANSWER if delivery is None else Act.DELIVER,
            ending=Ending(outcome, 200, reply.completion_tokens, complete),
            delay_s=delay_s,
            body=body,
            headers=limit_headers(self.dialect, self.admission.regime, self.now),
            admission=self.admission,
            prompt_tokens=reply.prompt_tokens,
            delivery=delivery,
        )


def refusal_plan(
    dialect: Dialect,
    refusal: Refusal,
    headers: Headers = (),
    delay_s: float = 0.0,
    admission: Admission | None = None,
) -> Plan:
    """The plan of an error answer."""
    own = dialect.own(refusal)
    ending = Ending(own.outcome, own.status, complete=True)
    return Plan(Act.ANSWER, ending, delay_s, dialect.error(own), headers, admission)


def denial_plan(dialect: Dialect, regime: Regime, denial: Denial, now: float, delay_s: float) -> Plan:
    """The plan of a call over a limit."""
    refusal = over_limit(denial, labelled=regime.settings.limit_headers != "none")
    return refusal_plan(dialect, refusal, limit_headers(dialect, regime, now, denial.wait_s), delay_s)


def limit_headers(dialect: Dialect, regime: Regime, now: float, wait_s: float | None = None) -> Headers:
    """The limit headers of the regime; `wait_s` adds when to come again, in seconds."""
    kind = regime.settings.limit_headers
    if kind == "full":
        return dialect.limit_headers(regime.gate.standings(regime.limits, now), wait_s)
    return retry_after(wait_s) if kind == "retry-after" else ()
