"""What a caller has heard of a streamed answer."""

from __future__ import annotations

from collections.abc import Callable


class Hearing:
    """Passes each piece on and keeps it: what arrived is paid for, however the call ends."""

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._on_text = on_text
        self._pieces: list[str] = []

    def __call__(self, text: str) -> None:
        self._pieces.append(text)
        self._on_text(text)

    @property
    def begun(self) -> bool:
        """Whether the caller has heard anything, so that no other call may go on in its place."""
        return bool(self._pieces)

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._pieces)
