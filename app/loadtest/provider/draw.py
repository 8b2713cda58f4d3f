"""Seeded chance: a draw is one number made from its labels, so that a run repeats in any process."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")
_SPAN = 2.0**64


class Draw:
    """One number between 0 and 1 that its labels decide; `sub` gives independent further ones."""

    __slots__ = ("_key",)

    def __init__(self, *labels: object) -> None:
        self._key = _digest("\x1f".join(map(str, labels)), b"")

    def sub(self, label: object) -> "Draw":
        """Another draw, decided by this one and the label."""
        child = Draw.__new__(Draw)
        child._key = _digest(str(label), self._key)
        return child

    def unit(self) -> float:
        """The number itself: 0 <= x < 1."""
        return (int.from_bytes(self._key[:8], "big") >> 11) * (2048 / _SPAN)

    def below(self, bound: int) -> int:
        """A whole number from 0 to bound - 1; exact for any size of bound."""
        size = (bound.bit_length() + 71) // 8
        return int.from_bytes(blake2b(self._key, digest_size=min(size, 64)).digest(), "big") % bound

    def pick(self, members: Sequence[T]) -> T:
        """One of the members."""
        return members[self.below(len(members))]

    def hex(self, digits: int) -> str:
        """Up to 32 hexadecimal digits, for identifiers."""
        return self._key.hex()[:digits]


def _digest(text: str, key: bytes) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=16).digest()
