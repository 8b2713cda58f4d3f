"""Canonical JSON bytes: sorted keys, no spaces, any text at all, digests that mean equality."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from typing import Any

import orjson

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_STEP = {**dict.fromkeys(b"[{", 1), **dict.fromkeys(b"]}", -1)}
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in _STEP)
# Digits as zeros, the rest as spaces: two passes in C find a number that may not fit 64 bits.
_SHAPE = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_LONG_NUMBER = b"0" * 19


class MalformedJson(ValueError):
    """The bytes are not JSON, or nest deeper than allowed."""


def dump(value: Any) -> bytes:
    """`value` (plain JSON types) as canonical bytes.

    Lone surrogates and integers beyond 64 bits, which the fast writer refuses, are written by the standard library.
    Raises TypeError for a value that is no JSON, ValueError for NaN or infinity.
    """
    try:
        # orjson writes NaN as null; a stored null that was a NaN would be a silent change, callers validate floats.
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return text.encode()


def write(value: Any) -> bytes:
    """`value` as JSON bytes in the order it has: for answers, where order is for people. Embeds orjson fragments."""
    return orjson.dumps(value)


def load(data: bytes | str, max_depth: int = 200) -> Any:
    """The value of JSON bytes. Raises MalformedJson, also when it nests deeper than `max_depth`."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if raw.count(b"[") + raw.count(b"{") > max_depth and _depth(raw) > max_depth:
        raise MalformedJson(f"nests deeper than {max_depth} levels")
    # The fast reader makes floats of integers beyond 64 bits, which would change them silently.
    if _LONG_NUMBER in raw.translate(_SHAPE):
        return _load_exactly(raw)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        # It also refuses escaped lone surrogates, which RFC 8259 allows.
        if b"\\u" not in raw:
            raise MalformedJson(str(error)) from None
    return _load_exactly(raw)


def digest(*values: Any) -> bytes:
    """SHA-256 over the canonical form of the values: equal digests mean equal values."""
    return hashlib.sha256(dump(list(values))).digest()


def _load_exactly(raw: bytes) -> Any:
    """Lone surrogates and integers of any size; infinite numbers are no JSON."""
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise MalformedJson("nests too deep") from None
    except ValueError as error:
        raise MalformedJson(str(error)) from None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _depth(raw: bytes) -> int:
    """The deepest nesting, brackets inside strings left out; without a loop in Python, since bodies can be hostile."""
    brackets = _STRING.sub(b"", raw).translate(None, _NO_BRACKETS)
    return max(itertools.accumulate(map(_STEP.__getitem__, brackets)), default=0)
