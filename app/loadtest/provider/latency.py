"""How long an answer takes, or is: parses `0.9*lognormal(80,400)+0.1*fixed(2000)` and draws from it."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from app.loadtest.provider.draw import Draw

SYNTAX = (
    "fixed(MS), uniform(LOW_MS,HIGH_MS), lognormal(MEDIAN_MS,P99_MS), tokens(FIRST_MS,EACH_MS,SIGMA) by the answer's "
    "length with log-normal noise, "
    "or a mixture of them by share: 0.9*lognormal(80,400)+0.1*fixed(2000)"
)

_TERM = re.compile(r"\s*(?:(?P<share>[0-9.]+)\s*\*)?\s*(?P<shape>[a-z]+)\s*\((?P<figures>[^()]*)\)\s*\Z")
_NORMAL = NormalDist()
_P99 = _NORMAL.inv_cdf(0.99)

# From chance (0 < u < 1) and the tokens of the answer to milliseconds.
Curve = Callable[[float, int], float]


@dataclass(frozen=True, slots=True)
class Term:
    """One shape of a mixture: its share of the calls and its quantile function."""

    share: float
    curve: Curve


@dataclass(frozen=True, slots=True)
class Latency:
    """A mixture of shapes whose shares add up to 1."""

    text: str
    terms: tuple[Term, ...]

    def seconds(self, draw: Draw, tokens: int = 0) -> float:
        """The latency that this draw stands for, of an answer of so many tokens, in seconds."""
        if len(self.terms) == 1:
            return self.terms[0].curve(_inside(draw), tokens) / 1000
        rest = draw.sub("term").unit()
        for term in self.terms:
            rest -= term.share
            if rest < 0:
                break
        return term.curve(_inside(draw), tokens) / 1000


def parse_latency(text: str) -> Latency:
    """Reads the syntax in `SYNTAX`. Raises ValueError that names the bad part."""
    parts = text.split("+")
    terms = tuple(_term(part, alone=len(parts) == 1) for part in parts)
    total = sum(term.share for term in terms)
    if abs(total - 1) > 1e-6:
        raise ValueError(f"the shares in {text!r} add up to {total:g}, not to 1")
    return Latency(text, terms)


def _term(part: str, alone: bool) -> Term:
    match = _TERM.match(part)
    if match is None:
        raise ValueError(f"{part.strip()!r} is not a latency; write {SYNTAX}")
    if match["share"] is None and not alone:
        raise ValueError(f"{part.strip()!r} needs its share in a mixture, as in 0.9*{part.strip()}")
    share = 1.0 if match["share"] is None else _number(match["share"], part)
    return Term(share, _curve(match["shape"], match["figures"], part.strip()))


def _curve(shape: str, figures: str, part: str) -> Curve:
    if shape not in _SHAPES:
        raise ValueError(f"unknown shape {shape!r} in {part!r}; known are {', '.join(_SHAPES)}")
    count, make = _SHAPES[shape]
    numbers = [_number(figure, part) for figure in figures.split(",")]
    if len(numbers) != count:
        raise ValueError(f"{shape!r} in {part!r} takes {count} number{'s'[: count - 1]}, not {len(numbers)}")
    if shape in _RISING and numbers != sorted(numbers):
        raise ValueError(f"the numbers of {part!r} must rise")
    return make(*numbers)


def _number(text: str, part: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text.strip()!r} in {part.strip()!r} is not a number") from None
    if not 0 <= value <= 1e7:
        raise ValueError(f"{text.strip()!r} in {part.strip()!r} is not between 0 and 10000000")
    return value


def _fixed(ms: float) -> Curve:
    return lambda u, tokens: ms


def _uniform(low_ms: float, high_ms: float) -> Curve:
    return lambda u, tokens: low_ms + (high_ms - low_ms) * u


def _lognormal(median_ms: float, p99_ms: float) -> Curve:
    if median_ms == 0:
        raise ValueError("the median of a lognormal must be above 0")
    sigma = math.log(p99_ms / median_ms) / _P99
    return lambda u, tokens: median_ms * math.exp(sigma * _NORMAL.inv_cdf(u))


def _tokens(first_ms: float, each_ms: float, sigma: float) -> Curve:
    """The noise has the mean 1."""
    return lambda u, tokens: (first_ms + each_ms * tokens) * math.exp(sigma * _NORMAL.inv_cdf(u) - sigma**2 / 2)


_SHAPES: dict[str, tuple[int, Callable[..., Curve]]] = {
    "fixed": (1, _fixed),
    "uniform": (2, _uniform),
    "lognormal": (2, _lognormal),
    "tokens": (3, _tokens),
}
_RISING = ("uniform", "lognormal")


def _inside(draw: Draw) -> float:
    return min(max(draw.sub("value").unit(), 1e-9), 1 - 1e-9)
