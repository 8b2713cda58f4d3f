"""Decides what happens to a call before any of it happens: refusal, limit, error kind, latency, answer."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace

from app.loadtest.provider.answer import Model
from app.loadtest.provider.calls import Ending
from app.loadtest.provider.dialect import Ask, Dialect, Refusal
from app.loadtest.provider.draw import Draw
from app.loadtest.provider.fault import CONTENT_KINDS, Down, FaultBoard, Regime
from app.loadtest.provider.limit import Denial
from app.loadtest.provider.plan import Act, Admission, Plan, Turn, denial_plan, refusal_plan
from app.loadtest.provider.refusals import UNAVAILABLE, WRONG_KEY, unknown_model
from app.loadtest.provider.schema import UnsupportedSchema
from app.loadtest.provider.script import AnswerScript, ScriptedFault


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request at the door: read into an ask or refused as unreadable, and the key it carries."""

    dialect: Dialect
    key: str | None
    model: str | None
    ask: Ask | Refusal


@dataclass(frozen=True, slots=True)
class Door:
    """Who may come in: the key that must be carried, and the models that are served; None and empty mean all."""

    api_key: str | None
    models: Collection[str]

    def enter(self, arrival: Arrival) -> Ask | Refusal:
        """The ask of a request that may come in, or why it may not."""
        if not self.key_fits(arrival.key):
            return WRONG_KEY
        if isinstance(arrival.ask, Ask) and self.models and arrival.ask.model not in self.models:
            return unknown_model(arrival.ask.model)
        return arrival.ask

    def key_fits(self, key: str | None) -> bool:
        """Whether a request with this key may come in."""
        return self.api_key is None or key == self.api_key


class Planner:
    """Plans calls. Everything random is decided by seed, model, content and how often this content was let in."""

    def __init__(self, seed: int, door: Door, board: FaultBoard, script: AnswerScript, model: Model) -> None:
        self._seed = seed
        self._door = door
        self._board = board
        self._script = script
        self._model = model
        self._ordinals: Counter[tuple[str, str]] = Counter()
        self._refused = 0

    def plan(self, arrival: Arrival, now: float) -> Plan:
        """The plan of a call that arrives now (seconds of a monotonic clock)."""
        down = self._board.regime(arrival.model).settings.down
        if down is not None:
            return _down_plan(down, arrival.dialect)
        entered = self._door.enter(arrival)
        if isinstance(entered, Refusal):
            return refusal_plan(arrival.dialect, entered)
        return self._limited(arrival.dialect, entered, now)

    def _limited(self, dialect: Dialect, ask: Ask, now: float) -> Plan:
        regime = self._board.regime(ask.model)
        if ask.max_tokens is None and not ask.texts:
            ask = replace(ask, max_tokens=regime.settings.max_tokens)
        admitted = regime.gate.admit(regime.limits, ask.prompt_tokens + (ask.max_tokens or 0), now)
        if isinstance(admitted, Denial):
            self._refused += 1
            delay_s = regime.refusal.seconds(Draw(self._seed, "refusal", self._refused))
            return denial_plan(dialect, regime, admitted, now, delay_s)
        ordinal = self._ordinal(ask)
        draw = Draw(self._seed, "call", ask.model, ask.digest, ordinal)
        length = self._length(regime, ask)
        return self._admitted(Turn(dialect, ask, Admission(regime, admitted), draw, ordinal, now, length))

    def _admitted(self, turn: Turn) -> Plan:
        kind, written = turn.admission.regime.error(turn.draw.sub("error")), None
        if kind is None:
            written = self._script.take(turn.ask.item)
        if isinstance(written, ScriptedFault):
            kind, written = written.kind, None
        if kind is not None and kind not in CONTENT_KINDS:
            return turn.fails(kind)
        try:
            content = written if written is not None else turn.filler or self._model.content(turn.ask)
        except UnsupportedSchema as error:
            return turn.refuses_schema(str(error))
        return turn.answers(content, kind)

    def _length(self, regime: Regime, ask: Ask) -> int:
        """The tokens of a text answer where the settings say how long they are, else 0; a question has its own."""
        if regime.length is None or ask.shape != "text":
            return 0
        drawn = regime.length.seconds(Draw(self._seed, "length", ask.model, ask.digest)) * 1000
        return max(1, int(drawn if ask.max_tokens is None else min(drawn, ask.max_tokens)))

    def _ordinal(self, ask: Ask) -> int:
        key = (ask.model, ask.digest)
        self._ordinals[key] += 1
        return self._ordinals[key] - 1


def _down_plan(down: Down, dialect: Dialect) -> Plan:
    if down == "503":
        return refusal_plan(dialect, UNAVAILABLE)
    return Plan(Act.RESET if down == "refuse" else Act.HANG, Ending(f"down_{down}"))
