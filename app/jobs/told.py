"""What a streaming client is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Told:
    """One server-sent event: its name, its JSON data, and an id where it is durable."""

    name: str
    data: Any
    id: str | None = None
