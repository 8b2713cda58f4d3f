"""What will happen to a call: wait, act on the connection, send this body, say this in the log."""

import math
from dataclasses import dataclass
from enum import Enum

from app.loadtest.provider.answer import make_reply
from app.loadtest.provider.calls import Ending
from app.loadtest.provider.dialect import Ask, Dialect, Headers, Refusal
from app.loadtest.provider.draw import Draw
from app.loadtest.provider.fault import ErrorKind, Regime
from app.loadtest.provider.limit import Denial, Hold
from app.loadtest.provider.refusals import BY_KIND, bad_schema, over_limit


class Act(Enum):
    """What is done with the connection once the latency has passed."""

    ANSWER = "answer"
    HALF = "half"
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
    """What will happen; `ending` is what the log will say, `tokens` what the limits will be charged."""

    act: Act
    ending: Ending
    delay_s: float = 0.0
    body: bytes = b""
    headers: Headers = ()
    admission: Admission | None = None
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """An admitted call and its chance: makes the plan for whichever way the call goes."""

    dialect: Dialect
    ask: Ask
    admission: Admission
    draw: Draw
    ordinal: int
    now: float

    @property
    def delay_s(self) -> float:
        """The latency of this call in seconds."""
        return self.admission.regime.latency.seconds(self.draw.sub("latency"))

    def fails(self, kind: ErrorKind) -> Plan:
        """The plan of an error kind that leaves no answer."""
        if kind in BY_KIND:
            wait_s = 1.0 if kind == "rate_limited" else None
            headers = limit_headers(self.dialect, self.admission.regime, self.now, wait_s)
            return refusal_plan(self.dialect, BY_KIND[kind], headers, self.delay_s, self.admission)
        act = Act.RESET if kind == "reset" else Act.HANG
        return Plan(act, Ending(kind), self.delay_s, admission=self.admission)

    def refuses_schema(self, reason: str) -> Plan:
        """The plan where no value fits the schema that was asked for."""
        return refusal_plan(self.dialect, bad_schema(reason), admission=self.admission)

    def answers(self, content: str, kind: ErrorKind | None) -> Plan:
        """The plan of an answer, spoiled by an error kind or not."""
        reply = make_reply(self.ask, content, kind, self.draw, self.ordinal)
        outcome = kind or ("length" if reply.finish == "length" else "ok")
        return Plan(
            act=Act.HALF if kind == "truncated_body" else Act.ANSWER,
            ending=Ending(outcome, 200, reply.completion_tokens),
            delay_s=self.delay_s,
            body=self.dialect.reply(self.ask, reply),
            headers=limit_headers(self.dialect, self.admission.regime, self.now),
            admission=self.admission,
            tokens=reply.prompt_tokens + reply.completion_tokens,
        )


def refusal_plan(
    dialect: Dialect,
    refusal: Refusal,
    headers: Headers = (),
    delay_s: float = 0.0,
    admission: Admission | None = None,
) -> Plan:
    """The plan of an error answer."""
    ending = Ending(refusal.outcome, refusal.status)
    return Plan(Act.ANSWER, ending, delay_s, dialect.error(refusal), headers, admission)


def denial_plan(dialect: Dialect, regime: Regime, denial: Denial, now: float) -> Plan:
    """The plan of a call over a limit: refused at once."""
    refusal = over_limit(denial, labelled=regime.settings.limit_headers != "none")
    return refusal_plan(dialect, refusal, limit_headers(dialect, regime, now, denial.wait_s))


def limit_headers(dialect: Dialect, regime: Regime, now: float, wait_s: float | None = None) -> Headers:
    """The limit headers of the regime; `wait_s` adds when to come again, in seconds."""
    kind = regime.settings.limit_headers
    if kind == "none":
        return ()
    wait: Headers = () if wait_s is None else ((b"retry-after", b"%d" % math.ceil(wait_s)),)
    if kind == "retry-after":
        return wait
    if wait_s is not None:
        wait += ((b"retry-after-ms", b"%d" % math.ceil(wait_s * 1000)),)
    return dialect.limit_headers(regime.gate.standings(regime.limits, now)) + wait
