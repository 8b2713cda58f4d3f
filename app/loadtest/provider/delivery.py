"""How an answer leaves the provider: in which parts, at which pace, and where it breaks off."""

from dataclasses import dataclass
from enum import Enum

from app.loadtest.provider.dialect import Events
from app.loadtest.provider.fault import ErrorKind


class End(Enum):
    """After the last part the HTTP answer ends, or its rest is cut, held back, dripped or drowned in zeros."""

    WHOLE = "whole"
    CUT = "cut"
    STALL = "stall"
    DRIP = "drip"
    FLOOD = "flood"


# What comes in place of the rest of an endless answer.
FLOOD_BYTES = 500_000_000
# JSON that no dialect knows.
MISSHAPEN = b'{"unexpected": [1, null, {"answer": "yes"}], "choices": {"0": []}, "content": 7}'
_ENDS: dict[ErrorKind | None, End] = {
    "truncated_body": End.CUT, "stalled": End.STALL, "trickle": End.DRIP, "endless": End.FLOOD,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Delivery:
    """`parts` are sent one by one, `gap_s` apart; then `end` happens to the `rest`. A `length` is announced.

    `tokens` is what each part brings; `complete`: with the last part, the client has the whole answer.
    """

    parts: tuple[bytes, ...]
    tokens: tuple[int, ...]
    end: End
    rest: bytes = b""
    gap_s: float = 0.0
    length: int | None = None
    complete: bool = False

    def tokens_in(self, parts: int) -> int:
        """The tokens of the answer that the first so many parts hold."""
        return sum(self.tokens[:parts])


def body_delivery(body: bytes, kind: ErrorKind | None, tokens: int) -> Delivery | None:
    """The delivery of a body that breaks off in its middle; None for a kind that leaves it whole."""
    end = _ENDS.get(kind)
    if end is None:
        return None
    half = len(body) // 2
    length = half + FLOOD_BYTES if end is End.FLOOD else len(body)
    return Delivery((body[:half],), (tokens,), end, body[half:], length=length)


def event_delivery(events: Events, kind: ErrorKind | None, error: bytes, pace_s: float) -> Delivery:
    """The delivery of a stream whose tokens take `pace_s` in all; `error` is the event of an `error_event`."""
    gap_s = pace_s / max(1, len(events.tokens))
    half = len(events.tokens) // 2
    first, second = events.tokens[:half], events.tokens[half:]
    if kind == "error_event":
        return Delivery((events.opening, *first, error), _counts(half, 1), End.WHOLE, gap_s=gap_s)
    if kind == "wrong_shape":
        return Delivery((b"data: ", MISSHAPEN, b"\n\n", events.mark), (0, 0, 0, 0), End.WHOLE)
    if kind in _ENDS:
        rest = b"".join((*second, events.closing, events.mark))
        return Delivery((events.opening, *first), _counts(half, 0), _ENDS[kind], rest, gap_s)
    closing = events.closing if kind == "no_end" else events.closing + events.mark
    parts = (events.opening, *events.tokens, closing)
    return Delivery(parts, _counts(len(events.tokens), 1), End.WHOLE, gap_s=gap_s, complete=kind != "no_end")


def _counts(tokens: int, after: int) -> tuple[int, ...]:
    """What the opening, each token and the parts after them bring."""
    return (0, *(1,) * tokens, *(0,) * after)
