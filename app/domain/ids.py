"""Ids: UUIDv7 inside, prefixed sortable text on the wire; the only place that draws randomness."""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import time
from uuid import UUID

# Crockford's base 32: sorts as the number does, has no letter that is mistaken for a digit.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUE = {letter: value for value, letter in enumerate(_ALPHABET)}
_LENGTH = 26
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class InvalidId(ValueError):
    """The text is not an id with the wanted prefix."""


class _Sequence:
    """Keeps ids of one process in the order they were drawn, also within a millisecond (RFC 9562, 6.2, method 1)."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """Milliseconds since 1970 in the upper bits, a 12-bit counter in the lower."""
        tick = (time.time_ns() // 1_000_000) << 12
        self._last = max(tick, self._last + 1)
        return self._last


_sequence = _Sequence()


def uuid7() -> UUID:
    """A new UUIDv7 (RFC 9562): 48 bits of milliseconds, 12 of counter, 62 of randomness."""
    tick = _sequence.next()
    random_bits = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
    return UUID(int=(tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | random_bits)


def derived_uuid7(owner: UUID, place: int) -> UUID:
    """The id of an owner's place-th member: the same in every process, and of the owner's millisecond."""
    drawn = int.from_bytes(hashlib.sha256(owner.bytes + place.to_bytes(8)).digest()[:10])
    low, counter = drawn & ((1 << 62) - 1), drawn >> 62 & 0xFFF
    return UUID(int=owner.int >> 80 << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | low)


def unix_s(value: UUID) -> float:
    """When a UUIDv7 was made, in seconds since 1970."""
    return (value.int >> 80) / 1000


def uuid7_floor(unix_ms: int) -> UUID:
    """The smallest id of that millisecond: a bound for partitions and for filters by time."""
    return UUID(int=unix_ms << 80 | 0x7 << 76 | 0b10 << 62)


def show(prefix: str, value: UUID) -> str:
    """The id as clients see it, for instance `job_01k...`."""
    number, letters = value.int, []
    for _ in range(_LENGTH):
        letters.append(_ALPHABET[number & 31])
        number >>= 5
    return f"{prefix}_{''.join(reversed(letters))}"


def read(prefix: str, text: str) -> UUID:
    """The id behind `show`'s text. Raises InvalidId for any other text."""
    head, _, tail = text.partition("_")
    if head != prefix or len(tail) != _LENGTH or any(letter not in _VALUE for letter in tail):
        raise InvalidId(f"{text[:64]!r} is not an id of the form {prefix}_ and {_LENGTH} letters")
    number = 0
    for letter in tail:
        number = number << 5 | _VALUE[letter]
    if number >> 128:
        raise InvalidId(f"{text!r} is out of range")
    return UUID(int=number)


def span_id() -> str:
    """Sixteen hexadecimal digits for a span (W3C Trace Context); never all zero."""
    return f"{secrets.randbits(64) or 1:016x}"


def trace_id() -> str:
    """Thirty-two hexadecimal digits for a trace; never all zero."""
    return f"{secrets.randbits(128) or 1:032x}"


def secret_base62(length: int) -> str:
    """A secret of that many base-62 characters (5.95 bits each) from the system's generator."""
    return "".join(secrets.choice(_BASE62) for _ in range(length))


def secret_bytes(length: int) -> bytes:
    """That many bytes from the system's generator."""
    return secrets.token_bytes(length)


def jitter(low: float, high: float) -> float:
    """A number drawn evenly between the two: spreads retries, never decides an outcome."""
    return random.uniform(low, high)


def derived_span_id(owner: UUID, name: str) -> str:
    """A span's id that every process finds again from what the span is about."""
    return hashlib.sha256(owner.bytes + name.encode()).hexdigest()[:16]


def share(name: str) -> float:
    """A number from 0 up to, not including, 1 that looks drawn and is the same for that name in every process."""
    return (int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 11) / (1 << 53)
