"""Deterministic words: sentences, strings within length bounds, and strings of the known JSON Schema formats."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.loadtest.provider.draw import Draw

_TEXT = (
    "amber basin cedar delta ember field grain harbor island juniper kettle ladder meadow nickel orchard pebble "
    "quarry ribbon saddle timber umber valley walnut yellow zephyr anchor bridge copper dapple engine"
)
_WORDS = tuple(_TEXT.split())
_START = datetime(2020, 1, 1, tzinfo=UTC)


def sentence(draw: Draw, low: int = 3, high: int = 8) -> str:
    """Between `low` and `high` words that start with a capital and end with a full stop."""
    count = low + draw.below(high - low + 1)
    return " ".join(draw.sub(place).pick(_WORDS) for place in range(count)).capitalize() + "."


def bounded(draw: Draw, low: int, high: int) -> str:
    """A sentence cut or filled so that its length lies between `low` and `high` characters."""
    text = sentence(draw)
    while len(text) < low:
        text += " " + sentence(draw.sub(len(text)))
    return text[:high]


def _moment(draw: Draw) -> datetime:
    return _START + timedelta(seconds=draw.below(5 * 365 * 86400))


FORMATS: dict[str, Callable[[Draw], str]] = {
    "date-time": lambda draw: _moment(draw).isoformat().replace("+00:00", "Z"),
    "date": lambda draw: _moment(draw).date().isoformat(),
    "time": lambda draw: _moment(draw).timetz().isoformat().replace("+00:00", "Z"),
    "duration": lambda draw: f"PT{1 + draw.below(3600)}S",
    "uuid": lambda draw: str(UUID(hex=draw.hex(32), version=4)),
    "email": lambda draw: f"{draw.pick(_WORDS)}{draw.below(1000)}@example.com",
    "hostname": lambda draw: f"{draw.pick(_WORDS)}.example.com",
    "uri": lambda draw: f"https://example.com/{draw.pick(_WORDS)}/{draw.below(1000)}",
    "ipv4": lambda draw: f"192.0.2.{draw.below(256)}",
    "ipv6": lambda draw: f"2001:db8::{1 + draw.below(0xFFFE):x}",
}
