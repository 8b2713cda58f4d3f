"""What goes wrong and how fast it goes: the switchable settings, the kinds of error, and the board that holds both."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from app.loadtest.provider.draw import Draw
from app.loadtest.provider.latency import Latency, parse_latency
from app.loadtest.provider.limit import Gate, Limits, WindowKind

ErrorKind = Literal[
    "http_500",
    "http_503",
    "http_529",
    "timeout",
    "reset",
    "truncated",
    "bad_json",
    "truncated_body",
    "insufficient_quota",
    "rate_limited",
    "invalid_request",
    "context_length_exceeded",
    "content_filter",
    "stalled",
    "trickle",
    "no_usage",
    "no_end",
    "error_event",
    "endless",
    "wrong_shape",
]
ERROR_KINDS: tuple[str, ...] = get_args(ErrorKind)
# Kinds of an answer that comes, but spoiled or not whole.
CONTENT_KINDS: frozenset[str] = frozenset({
    "truncated", "bad_json", "content_filter", "truncated_body", "stalled", "trickle", "no_usage", "no_end",
    "error_event", "endless", "wrong_shape",
})  # fmt: skip
# Kinds that only a stream can meet; they leave other calls alone.
STREAM_KINDS: frozenset[str] = frozenset({"no_end", "error_event"})
Down = Literal["refuse", "503", "hang"]
LimitHeaders = Literal["none", "retry-after", "full"]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class FaultSettings(BaseModel):
    """Everything that can be switched at run time; the same words as the command line and `/sim/faults`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    error_rates: dict[ErrorKind, Share] = {}
    latency: str = "lognormal(60,200)"
    # Of a stream: the share of its latency before the first token; the rest passes evenly from token to token.
    first_token: Share = 0.25
    # From so many calls in flight on, latency grows in proportion to them.
    knee: Count | None = None
    # Tokens of each text answer, in the words of `latency`; none: a sentence or two.
    answer_tokens: str | None = None
    # What a request that names no `max_tokens` is charged for its answer until it ends, and the longest it gets.
    max_tokens: Count | None = None
    rpm: Count | None = None
    tpm: Count | None = None
    max_in_flight: Count | None = None
    window: WindowKind = "refill"
    burst_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    limit_headers: LimitHeaders = "none"
    # How long it takes to refuse a call over a limit.
    refusal: str = "fixed(0)"
    down: Down | None = None
    only_model: str | None = None

    @field_validator("latency", "answer_tokens", "refusal")
    @classmethod
    def _reads(cls, text: str | None) -> str | None:
        return None if text is None else parse_latency(text).text

    @model_validator(mode="after")
    def _rates_fit(self) -> "FaultSettings":
        total = sum(self.error_rates.values())
        if total > 1 + 1e-9:
            raise ValueError(f"error_rates add up to {total:g}, more than 1")
        return self


class Regime:
    """One set of settings ready for use, with the gate that counts its limits."""

    def __init__(self, settings: FaultSettings, gate: Gate) -> None:
        self.settings = settings
        self.gate = gate
        self.latency: Latency = parse_latency(settings.latency)
        self.refusal: Latency = parse_latency(settings.refusal)
        self.length: Latency | None = parse_latency(settings.answer_tokens) if settings.answer_tokens else None
        self.limits = Limits(
            settings.rpm, settings.tpm, settings.max_in_flight, window=settings.window, burst_s=settings.burst_s
        )

    def crowded(self, in_flight: int) -> float:
        """How many times longer a call takes with so many in flight."""
        return max(1.0, in_flight / self.settings.knee) if self.settings.knee else 1.0

    def error(self, draw: Draw) -> ErrorKind | None:
        """The kind of error that this draw meets, or None."""
        rest = draw.unit()
        for kind, share in self.settings.error_rates.items():
            rest -= share
            if rest < 0:
                return kind
        return None


class FaultBoard:
    """The settings at start and now. With `only_model`, other models keep the settings at start."""

    def __init__(self, start: FaultSettings) -> None:
        self._start = start
        self._gate = Gate()
        self.reset()

    @property
    def now(self) -> FaultSettings:
        """The settings in force."""
        return self._now

    def reset(self) -> None:
        """Back to the settings at start, with every limit unused. (A mere change of a limit keeps what was used.)"""
        self._gate.refresh()
        self._set(self._start)

    def put(self, given: Mapping[str, Any]) -> None:
        """The settings at start with these changes. Raises pydantic.ValidationError and changes nothing."""
        self._set(FaultSettings.model_validate(self._start.model_dump() | dict(given)))

    def patch(self, given: Mapping[str, Any]) -> None:
        """The settings in force with these changes. Raises pydantic.ValidationError and changes nothing."""
        self._set(FaultSettings.model_validate(self._now.model_dump() | dict(given)))

    def regime(self, model: str | None) -> Regime:
        """What holds for a call to this model."""
        only = self._now.only_model
        return self._switched if only is None or only == model else self._others

    def _set(self, settings: FaultSettings) -> None:
        self._now = settings
        self._others = Regime(self._start, self._gate)
        self._switched = Regime(settings, self._gate if settings.only_model is None else Gate())
