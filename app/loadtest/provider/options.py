"""The options of one simulated provider, read and checked."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from app.loadtest.provider.fault import FaultSettings
from app.loadtest.provider.truth import Accuracy, Truth


@dataclass(frozen=True, slots=True)
class Options:
    """Everything fixed at start; `faults` are the settings that `/sim/faults` may change."""

    host: str = "127.0.0.1"
    port: int = 0
    port_file: Path | None = None
    seed: int = 1
    models: tuple[str, ...] = ()
    api_key: str | None = None
    faults: FaultSettings = field(default_factory=FaultSettings)
    truth: Truth = field(default_factory=lambda: Truth({}))
    accuracy: Accuracy = field(default_factory=lambda: Accuracy({}))
    journal: Path | None = None
    fsync: bool = False
    keep_calls: int = 200_000


def read_shares(texts: Iterable[str]) -> dict[str, float]:
    """Reads `name=share` texts; a share lies between 0 and 1. Raises ValueError that names the bad text."""
    shares: dict[str, float] = {}
    for text in texts:
        name, equals, share = text.rpartition("=")
        if not equals or not name:
            raise ValueError(f"{text!r} is not NAME=SHARE")
        shares[name] = _share(share, text)
    return shares


def _share(share: str, text: str) -> float:
    try:
        value = float(share)
    except ValueError:
        raise ValueError(f"{share!r} in {text!r} is not a number") from None
    if not 0 <= value <= 1:
        raise ValueError(f"{share!r} in {text!r} is not between 0 and 1")
    return value
